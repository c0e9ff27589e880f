//! Code shared by the pooling layers, over windows and over whole images.

use super::*;
use crate::ir::op::Op;
use crate::model::layers::onnx::Attribute;
use crate::ops::pool::windows::Windows;
use crate::ops::shape::reshape::Reshape;

/// [H, W, C] to [OH, OW, C].
pub(super) fn windows(inputs: &[&[usize]], windows: Windows) -> Result<Inferred, String> {
    let [h, w, c] = image(inputs)?;
    let g = windows.geometry([1, h, w, c])?;
    Ok(Inferred::of([g.oh, g.ow, c]))
}

/// The ONNX operator over windows, with further attributes; `suffix` ends the name of its result. What a last window has
/// beyond the image is padding, since runtimes differ in their `ceil_mode`.
pub(super) fn windows_onnx(
    onnx: &mut Onnx,
    (suffix, operator): (&str, &'static str),
    windows: Windows,
    more: &[(&'static str, Attribute)],
) -> Result<String, String> {
    let [h, w, c] = image(&onnx.shapes)?;
    let g = windows.geometry([1, h, w, c])?;
    let after = |places: usize, stride: usize, k: usize, size: usize| ((places - 1) * stride + k).saturating_sub(size);
    let (bottom, right) = (after(g.oh, g.sh, g.kh, g.h + g.pt), after(g.ow, g.sw, g.kw, g.w + g.pl));
    let mut attributes = vec![
        ("kernel_shape", Attribute::Ints(windows.size.into())),
        ("strides", Attribute::Ints(windows.stride.into())),
    ];
    if g.padded() {
        attributes.push(("pads", Attribute::Ints(vec![g.pt, g.pl, bottom, right])));
        attributes.extend_from_slice(more);
    }
    let input = onnx.inputs[0].clone();
    Ok(onnx.node(suffix, operator, &[&input], &attributes))
}

/// [H, W, C] to `[C]` features.
pub(super) fn whole(inputs: &[&[usize]]) -> Result<Inferred, String> {
    let [_, _, channels] = image(inputs)?;
    Ok(Inferred::of([channels]))
}

/// The op that `op` makes for a window of the whole image, and its result as features.
pub(super) fn build_whole<O: Op>(graph: &mut Graph, at: &Inputs, op: impl Fn([usize; 2]) -> O) -> Result<Tensor> {
    let size = [1, 2].map(|axis| graph.shape(at.x[0]).get(axis).copied().unwrap_or(1));
    let pooled = graph.apply(op(size), at.x)?[0];
    Ok(graph.apply(Reshape { shape: Shape(at.shape.into()) }, &[pooled])?[0])
}

/// The ONNX operator over whole images, [N, C, 1, 1], and its result as features.
pub(super) fn whole_onnx(onnx: &mut Onnx, operator: &'static str) {
    let pooled = onnx.node("_pooled", operator, &[&onnx.inputs[0].clone()], &[]);
    onnx.node("", "Flatten", &[&pooled], &[("axis", Attribute::Int(1))]);
}
