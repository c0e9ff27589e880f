//! The product of results: gates, such as squeeze-and-excitation's.

use super::*;
use crate::ops;

layer! {
    /// The product of the result before and those of earlier layers: all of one shape, or images [H, W, C] of one shape and
    /// `[C]` features, each of which multiplies a channel (squeeze-and-excitation; Hu et al., 2018).
    Multiply "multiply"
    needs {}
    takes {}
}

/// The image among several shapes, or the first shape, which all others must meet.
fn largest<'a>(shapes: &[&'a [usize]]) -> &'a [usize] {
    let image = shapes.iter().find(|shape| shape.len() == 3);
    image.or(shapes.first()).copied().unwrap_or_default()
}

impl Layer for Multiply {
    keyed!();

    fn joins(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let whole = largest(inputs);
        let meets = |other: &[usize]| other == whole || other.len() == 1 && other.last() == whole.last();
        match inputs.iter().find(|other| !meets(other)) {
            None => Ok(Inferred::of(whole)),
            Some(other) => Err(format!(
                "found {whole:?} and {other:?}, expected results of one shape, or an image [H, W, C] and [C] features"
            )),
        }
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        // The image goes first: what it is multiplied with may have one value for each of its channels.
        let first = at.x.iter().position(|&x| graph.shape(x) == at.shape).unwrap_or(0);
        let others = at.x.iter().enumerate().filter(|&(place, _)| place != first);
        let multiply = |y, (_, &x): (usize, &Tensor)| Ok(graph.apply(ops::pointwise::multiply::Multiply, &[y, x])?[0]);
        others.into_iter().try_fold(at.x[first], multiply)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let shapes = onnx.shapes.clone();
        let (whole, channels) = (largest(&shapes), shapes[0].last().copied().unwrap_or(1));
        onnx.each("Mul", |onnx, at| {
            let input = onnx.inputs[at].clone();
            match shapes[at].len() == whole.len() {
                true => input,
                // [N, C] to [N, C, 1, 1], which meets [N, C, H, W].
                false => onnx.reshape(&format!("_{at}_channels"), &input, &[0, channels as i64, 1, 1]),
            }
        });
        Ok(())
    }
}
