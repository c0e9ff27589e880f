//! Upsampling, by the nearest neighbour or bilinear.

use super::*;
use crate::model::layers::keys::{Kind, PAIR, words};
use crate::model::layers::onnx::Attribute;
use crate::ops;
use crate::ops::shape::upsample2d_bilinear::Upsample2dBilinear;

/// How an upsampling finds its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Every pixel becomes a block.
    Nearest,
    /// Between the four around it; the outer edges lie on each other.
    Bilinear,
    /// Between the four around it; the corners lie on each other (PyTorch's `align_corners=True`).
    BilinearCorners,
}

words!(Interpolation { Nearest = "nearest", Bilinear = "bilinear", BilinearCorners = "bilinear_align_corners", });

layer! {
    /// An image `factor` times as large: [H, W, C] to [H·rows, W·columns, C]. PyTorch's `Upsample`.
    Upsample2d "upsample2d"
    needs {
        /// Rows and columns that each one becomes.
        factor: [usize; 2] => PAIR,
    }
    takes {
        /// How pixels are found.
        mode: Interpolation = Interpolation::Nearest => Key::new(Kind::Choice(Interpolation::WORDS)).omitted(),
    }
}

impl Layer for Upsample2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let ([h, w, c], [fh, fw]) = (image(inputs)?, self.factor);
        Ok(Inferred::of([h.saturating_mul(fh), w.saturating_mul(fw), c]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let factor = self.factor;
        let y = match self.mode {
            Interpolation::Nearest => graph.apply(ops::shape::upsample2d::Upsample2d { factor }, at.x)?,
            mode => {
                let corners = mode == Interpolation::BilinearCorners;
                graph.apply(Upsample2dBilinear { factor, corners }, at.x)?
            }
        };
        Ok(y[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let [fh, fw] = self.factor.map(|factor| factor as f32);
        let scales = onnx.floats("_scales", &[4], vec![1.0, 1.0, fh, fw]);
        // The second argument, a region, is left out; of the nearest, an output pixel reads the one that it lies in.
        let (mode, places) = match self.mode {
            Interpolation::Nearest => ("nearest", "asymmetric"),
            Interpolation::Bilinear => ("linear", "half_pixel"),
            Interpolation::BilinearCorners => ("linear", "align_corners"),
        };
        let attributes = [
            ("mode", Attribute::Text(mode)),
            ("coordinate_transformation_mode", Attribute::Text(places)),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        let input = onnx.inputs[0].clone();
        onnx.node("", "Resize", &[&input, "", &scales], &attributes);
        Ok(())
    }
}
