//! Nearest-neighbour upsampling: every pixel becomes a block.

use crate::ops::prelude::*;
use crate::ops::shape::upsample2d_dx::Upsample2dDx;

kernels! {
    UPSAMPLE2D = "shape/upsample2d",
}

/// `y[n, h, w, c] = x[n, h / fh, w / fw, c]`: [N, H, W, C] becomes [N, H·fh, W·fw, C].
#[derive(Clone, Copy, Debug)]
pub struct Upsample2d {
    /// Rows and columns of a pixel's block.
    pub factor: [usize; 2],
}

impl Reference for Upsample2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, _, w, c], [fh, fw]) = (x[0].axes(), self.factor);
        let x = x[0].floats();
        // A row of the batch's rows: those of all images are contiguous.
        y[0].floats().par_chunks_mut(w * fw * c).enumerate().for_each(|(row, y)| {
            for (column, y) in y.chunks_mut(c).enumerate() {
                y.copy_from_slice(&x[(row / fh * w + column / fw) * c..][..c]);
            }
        });
    }
}

impl Op for Upsample2d {
    fn name(&self) -> &'static str {
        "upsample2d"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        let ([n, h, w, c], [fh, fw]) = (axes(x)?, self.factor);
        if fh == 0 || fw == 0 {
            return Err(format!("a factor of {fh} × {fw} where at least 1 is expected"));
        }
        Ok(vec![TensorInfo::floats("upsample2d", [n, h * fh, w * fw, c])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Upsample2dDx { factor: self.factor }, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([_, _, w, c], [fh, fw]) = (cx.axes(cx.x[0])?, self.factor);
        let elements = cx.elements(cx.y[0]);
        let launch = cx.kernel(UPSAMPLE2D, &[])?.sizes(&[("elements", elements), ("w", w), ("c", c)]);
        let launch = launch.sizes(&[("fh", fh), ("fw", fw)]);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), elements.div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4], factor| Case::new(Upsample2d { factor }).random(shape);
    vec![
        case([1, 1, 1, 1], [1, 1]),
        case([2, 3, 5, 7], [2, 2]),
        case([3, 4, 2, 4], [3, 1]),
        case([1, 7, 3, 1], [1, 5]),
        // More than 65,535 workgroups of 64 vectors.
        case([1, 1025, 4099, 1], [2, 2]),
    ]
}
