//! Code shared by the pooling layers, over windows and over whole images.

use super::*;
use crate::ir::op::Op;
use crate::model::layers::onnx::Attribute;
use crate::ops::conv::geometry::{Geometry, Padding};
use crate::ops::shape::reshape::Reshape;

/// [H, W, C] to [OH, OW, C], without padding.
pub(super) fn windows(inputs: &[&[usize]], size: [usize; 2], stride: [usize; 2]) -> Result<Inferred, String> {
    let [h, w, c] = image(inputs)?;
    let g = Geometry::new([1, h, w, c], size, c, stride, Padding::Valid)?;
    Ok(Inferred::of([g.oh, g.ow, c]))
}

/// The ONNX operator over windows.
pub(super) fn windows_onnx(onnx: &mut Onnx, operator: &'static str, size: [usize; 2], stride: [usize; 2]) {
    let [size, stride] = [size, stride].map(|sizes| Attribute::Ints(sizes.into()));
    onnx.whole(operator, &[("kernel_shape", size), ("strides", stride)]);
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
