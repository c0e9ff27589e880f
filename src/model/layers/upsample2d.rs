//! Nearest-neighbour upsampling.

use super::*;
use crate::model::layers::keys::PAIR;
use crate::model::layers::onnx::Attribute;
use crate::ops;

layer! {
    /// Every pixel becomes a block, by the nearest neighbour: [H, W, C] to [H·rows, W·columns, C].
    Upsample2d "upsample2d"
    needs {
        /// Rows and columns of a block.
        factor: [usize; 2] => PAIR,
    }
    takes {}
}

impl Layer for Upsample2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let ([h, w, c], [fh, fw]) = (image(inputs)?, self.factor);
        Ok(Inferred::of([h.saturating_mul(fh), w.saturating_mul(fw), c]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(ops::shape::upsample2d::Upsample2d { factor: self.factor }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let [fh, fw] = self.factor.map(|factor| factor as f32);
        let scales = onnx.floats("_scales", &[4], vec![1.0, 1.0, fh, fw]);
        // The second argument, a region, is left out; an output pixel reads the one that it lies in.
        let attributes = [
            ("mode", Attribute::Text("nearest")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        let input = onnx.inputs[0].clone();
        onnx.node("", "Resize", &[&input, "", &scales], &attributes);
        Ok(())
    }
}
