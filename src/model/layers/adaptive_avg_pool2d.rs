//! The mean of windows that divide an image of any size.

use super::*;
use crate::model::layers::keys::PAIR;
use crate::ops;
use crate::ops::pool::avg_pool2d::AvgPool2d;

layer! {
    /// The mean of windows that divide the image: [H, W, C] to [rows, columns, C]. PyTorch's `AdaptiveAvgPool2d`, of images whose
    /// height and width are multiples of rows and columns.
    AdaptiveAvgPool2d "adaptive_avg_pool2d"
    needs {
        /// Rows and columns of the result.
        size: [usize; 2] => PAIR,
    }
    takes {}
}

impl AdaptiveAvgPool2d {
    /// The window, which is also its stride.
    fn window_of(&self, [h, w, _]: [usize; 3]) -> Result<[usize; 2], String> {
        let [rows, columns] = self.size;
        match h.is_multiple_of(rows) && w.is_multiple_of(columns) {
            true => Ok([h / rows, w / columns]),
            false => Err(format!(
                "found an image of {h} × {w} and size = [{rows}, {columns}], expected height and width in multiples of the \
                 size: --image-size sets them"
            )),
        }
    }
}

impl Layer for AdaptiveAvgPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [h, w, c] = image(inputs)?;
        self.window_of([h, w, c])?;
        Ok(Inferred::of([self.size[0], self.size[1], c]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let sizes = &graph.shape(at.x[0])[1..];
        let window = image(&[sizes]).and_then(|sizes| self.window_of(sizes)).map_err(Error::input)?;
        if window == [1, 1] {
            return Ok(at.x[0]);
        }
        Ok(graph.apply(AvgPool2d::new(window, window), at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let window = self.window_of(image(&onnx.shapes)?)?;
        if window != [1, 1] {
            let windows = ops::pool::windows::Windows::new(window, window);
            pools::windows_onnx(onnx, ("", "AveragePool"), windows, &[])?;
        }
        Ok(())
    }
}
