//! The gradient of nearest-neighbour upsampling: the sum over every pixel's block.

use crate::ops::prelude::*;

kernels! {
    UPSAMPLE2D_DX = "shape/upsample2d_dx",
}

/// `dx[n, h, w, c] = Σ dy[n, h·fh + i, w·fw + j, c]`: [N, H·fh, W·fw, C] becomes [N, H, W, C].
#[derive(Clone, Copy, Debug)]
pub struct Upsample2dDx {
    /// Rows and columns of a pixel's block.
    pub factor: [usize; 2],
}

impl Reference for Upsample2dDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let ([_, _, wide, c], [fh, fw]) = (x[0].axes(), self.factor);
        let (dy, w) = (x[0].floats(), wide / fw);
        dx[0].floats().par_chunks_mut(w * c).enumerate().for_each(|(row, dx)| {
            for (at, dx) in dx.iter_mut().enumerate() {
                let (column, channel) = (at / c, at % c);
                *dx = F::of(0.0);
                for i in 0..fh {
                    for j in 0..fw {
                        *dx += dy[((row * fh + i) * wide + column * fw + j) * c + channel];
                    }
                }
            }
        });
    }
}

impl Op for Upsample2dDx {
    fn name(&self) -> &'static str {
        "upsample2d_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy] = arguments(x)?;
        let ([n, h, w, c], [fh, fw]) = (axes(dy)?, self.factor);
        if fh == 0 || fw == 0 || h % fh != 0 || w % fw != 0 {
            return Err(format!("{h} × {w} pixels are no blocks of {fh} × {fw}"));
        }
        Ok(vec![TensorInfo::floats("upsample2d_dx", [n, h / fh, w / fw, c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([_, _, w, c], [fh, fw]) = (cx.axes(cx.y[0])?, self.factor);
        let elements = cx.elements(cx.y[0]);
        let launch = cx.kernel(UPSAMPLE2D_DX, &[])?.sizes(&[("elements", elements), ("w", w), ("c", c)]);
        let launch = launch.sizes(&[("fh", fh), ("fw", fw)]);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("dx", cx.y[0]), elements.div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: self.factor[0] * self.factor[1], ulps: 0.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4], factor| Case::new(Upsample2dDx { factor }).random(shape);
    vec![
        case([1, 1, 1, 1], [1, 1]),
        case([2, 6, 10, 7], [2, 2]),
        case([3, 12, 2, 4], [3, 1]),
        case([1, 7, 15, 1], [1, 5]),
        case([1, 4099, 4097, 1], [1, 1]),
    ]
}
