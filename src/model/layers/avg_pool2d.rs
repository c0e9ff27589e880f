//! The mean of each window.

use super::*;
use crate::model::layers::keys::{CEIL, Kind, PADDING, PAIR};
use crate::model::layers::onnx::Attribute;
use crate::ops;
use crate::ops::conv::geometry::Padding;
use crate::ops::pool::windows::Windows;

layer! {
    /// The mean of each window: [H, W, C] to [OH, OW, C].
    AvgPool2d "avg_pool2d"
    needs {
        /// Rows and columns of the window.
        size: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one window to the next; by default windows stand side by side.
        stride: [usize; 2] = size => PAIR,
        /// The padding around the image.
        padding: Padding = Padding::Valid => PADDING.omitted(),
        /// Whether a last window that begins within the image and ends beyond it counts: PyTorch's `ceil_mode`.
        ceil: bool = false => CEIL,
        /// Whether padding counts in a window's area, as in PyTorch; by default not if the padding is `same`, as in Keras.
        count_include_pad: bool = padding != Padding::Same => Key::new(Kind::Flag).omitted(),
    }
}

impl AvgPool2d {
    fn windows(&self) -> Windows {
        let AvgPool2d { size, stride, padding, ceil, .. } = *self;
        Windows { size, stride, padding, ceil }
    }
}

impl Layer for AvgPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        pools::windows(inputs, self.windows())
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let (windows, count_include_pad) = (self.windows(), self.count_include_pad);
        Ok(graph.apply(ops::pool::avg_pool2d::AvgPool2d { windows, count_include_pad }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let [h, w, c] = image(&onnx.shapes)?;
        let (windows, area) = (self.windows(), self.size[0] * self.size[1]);
        let areas = windows.areas(&windows.geometry([1, h, w, c])?, self.count_include_pad);
        // ONNX divides by the whole window, or by what is inside the image.
        let is_whole = areas.iter().flatten().all(|found| *found == area);
        let operator = |suffix| (suffix, "AveragePool");
        if is_whole || !self.count_include_pad {
            let counts = ("count_include_pad", Attribute::Int(is_whole.into()));
            pools::windows_onnx(onnx, operator(""), windows, &[counts])?;
            return Ok(());
        }
        let pooled =
            pools::windows_onnx(onnx, operator("_whole"), windows, &[("count_include_pad", Attribute::Int(1))])?;
        let ratios = areas.iter().flatten().map(|found| area as f32 / *found as f32).collect();
        let ratios = onnx.floats("_ratios", &[1, areas.len(), areas[0].len()], ratios);
        onnx.node("", "Mul", &[&pooled, &ratios], &[]);
        Ok(())
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.size)
    }
}
