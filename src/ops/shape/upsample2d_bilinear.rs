//! Bilinear upsampling: every pixel of a larger image between the four around it.

use crate::ops::prelude::*;
use crate::ops::shape::upsample2d_bilinear_dx::Upsample2dBilinearDx;

kernels! {
    UPSAMPLE2D_BILINEAR = "shape/upsample2d_bilinear",
}

/// `y[n, i, j, c] = Σ share(i, r) · share(j, s) · x[n, r, s, c]`: [N, H, W, C] becomes [N, H·fh, W·fw, C], PyTorch's
/// `interpolate` with `mode="bilinear"`.
///
/// Row i lies at (i + ½) / fh - ½ among the rows of x, or in `corners` at i · (H - 1) / (H·fh - 1), so that the corners of both
/// images lie on each other; of the two rows around that place each has the share that it is near. So do columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsample2dBilinear {
    /// Rows and columns that each one becomes.
    pub factor: [usize; 2],
    /// Whether the corners lie on each other (PyTorch's `align_corners`); else the outer edges do.
    pub corners: bool,
}

/// The row before place `at` of `size · factor`, and the share of the next one.
fn between(at: usize, [size, factor]: [usize; 2], corners: bool) -> (usize, f64) {
    let (above, whole) = match corners {
        true => (at * (size - 1), (size * factor - 1).max(1)),
        false => ((2 * at + 1).saturating_sub(factor), 2 * factor),
    };
    (above / whole, (above % whole) as f64 / whole as f64)
}

/// For each place of `size · factor`, the two that it lies between, and the share of each.
pub(super) fn shares<F: Real>([size, factor]: [usize; 2], corners: bool) -> Vec<[(usize, F); 2]> {
    let of = |at| {
        let (low, share) = between(at, [size, factor], corners);
        [(low, F::of(1.0 - share)), ((low + 1).min(size - 1), F::of(share))]
    };
    (0..size * factor).map(of).collect()
}

impl Reference for Upsample2dBilinear {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, h, w, c], [fh, fw]) = (x[0].axes(), self.factor);
        let (rows, columns) = (shares::<F>([h, fh], self.corners), shares::<F>([w, fw], self.corners));
        let x = x[0].floats();
        y[0].floats().par_chunks_mut(w * fw * c).enumerate().for_each(|(at, y)| {
            let (image, of_rows) = (at / (h * fh) * h, &rows[at % (h * fh)]);
            for (y, of_columns) in y.chunks_mut(c).zip(&columns) {
                y.fill(F::of(0.0));
                for (row, down) in of_rows {
                    for (column, across) in of_columns {
                        let pixel = &x[((image + row) * w + column) * c..][..c];
                        y.iter_mut().zip(pixel).for_each(|(y, x)| *y += *down * *across * *x);
                    }
                }
            }
        });
    }
}

impl Op for Upsample2dBilinear {
    fn name(&self) -> &'static str {
        "upsample2d_bilinear"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        let ([n, h, w, c], [fh, fw]) = (axes(x)?, self.factor);
        if [n, h, w, c, fh, fw].contains(&0) {
            return Err(format!("{} by a factor of {fh} × {fw}, where at least 1 of each is expected", x.shape));
        }
        Ok(vec![TensorInfo::floats("upsample2d_bilinear", [n, h * fh, w * fw, c])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Upsample2dBilinearDx(*self), &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [_, h, w, c] = cx.axes(cx.x[0])?;
        let launch = self.launch(cx, UPSAMPLE2D_BILINEAR, [h, w, c])?;
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), cx.elements(cx.y[0]).div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 4, ulps: 4.0 }
    }
}

impl Upsample2dBilinear {
    /// Begins the launch of a kernel for an image [h, w, c] and its enlargement.
    pub(super) fn launch(&self, cx: &mut Lower, source: Source, [h, w, c]: [usize; 3]) -> crate::Result<Launch> {
        let [fh, fw] = self.factor;
        let launch = cx.kernel(source, &[])?.sizes(&[("elements", cx.elements(cx.y[0])), ("h", h), ("w", w), ("c", c)]);
        Ok(launch.sizes(&[("fh", fh), ("fw", fw)]).set("corners", self.corners))
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    ways().map(|(op, shape)| Case::new(op).random(shape)).collect()
}

/// Images of all kinds of sizes: a single pixel, a row, a column, odd sizes; either alignment.
pub(super) fn ways() -> impl Iterator<Item = (Upsample2dBilinear, [usize; 4])> {
    let shapes = [
        ([1, 1, 1, 1], [1, 1]),
        ([2, 1, 1, 3], [3, 4]),
        ([2, 3, 5, 7], [2, 2]),
        ([3, 4, 2, 4], [3, 1]),
        ([1, 7, 1, 1], [1, 5]),
        ([1, 5, 6, 8], [8, 8]),
    ];
    let each = |(shape, factor)| [false, true].map(|corners| (Upsample2dBilinear { factor, corners }, shape));
    shapes.into_iter().flat_map(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `torch.nn.functional.interpolate` gives of [0, 1, 2] in three times as many.
    #[test]
    fn places_lie_where_pytorch_has_them() {
        let of = |corners| -> Vec<f64> {
            let places = (0..9).map(|at| between(at, [3, 3], corners));
            places.map(|(low, share)| ((low as f64 + share).min(2.0) * 1e4).round() / 1e4).collect()
        };
        assert_eq!(of(false), [0.0, 0.0, 0.3333, 0.6667, 1.0, 1.3333, 1.6667, 2.0, 2.0]);
        assert_eq!(of(true), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]);
    }
}
