//! The gradient of bilinear upsampling: what each pixel has given to the larger image.

use crate::ops::prelude::*;
use crate::ops::shape::upsample2d_bilinear::{Upsample2dBilinear, shares, ways};

kernels! {
    UPSAMPLE2D_BILINEAR_DX = "shape/upsample2d_bilinear_dx",
}

/// `dx[n, r, s, c] = Σ share(i, r) · share(j, s) · dy[n, i, j, c]`: [N, H·fh, W·fw, C] becomes [N, H, W, C].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsample2dBilinearDx(pub Upsample2dBilinear);

impl Reference for Upsample2dBilinearDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let Upsample2dBilinear { factor: [fh, fw], corners } = self.0;
        let (dy, [_, tall, wide, c]) = (x[0].floats(), x[0].axes());
        let (h, w) = (tall / fh, wide / fw);
        let (rows, columns) = (shares::<F>([h, fh], corners), shares::<F>([w, fw], corners));
        dx[0].floats().par_chunks_mut(h * w * c).enumerate().for_each(|(image, dx)| {
            dx.fill(F::of(0.0));
            for (i, of_rows) in rows.iter().enumerate() {
                for (j, of_columns) in columns.iter().enumerate() {
                    let dy = &dy[((image * tall + i) * wide + j) * c..][..c];
                    for (row, down) in of_rows {
                        for (column, across) in of_columns {
                            let pixel = &mut dx[(row * w + column) * c..][..c];
                            pixel.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *down * *across * *dy);
                        }
                    }
                }
            }
        });
    }
}

impl Op for Upsample2dBilinearDx {
    fn name(&self) -> &'static str {
        "upsample2d_bilinear_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy] = arguments(x)?;
        let ([n, h, w, c], [fh, fw]) = (axes(dy)?, self.0.factor);
        if [n, h, w, c, fh, fw].contains(&0) || h % fh != 0 || w % fw != 0 {
            return Err(format!("{h} × {w} pixels are not {fh} × {fw} times as many as others"));
        }
        Ok(vec![TensorInfo::floats("upsample2d_bilinear_dx", [n, h / fh, w / fw, c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [_, h, w, c] = cx.axes(cx.y[0])?;
        let launch = self.0.launch(cx, UPSAMPLE2D_BILINEAR_DX, [h, w, c])?;
        cx.invocations(launch.bind("dy", cx.x[0]).bind("dx", cx.y[0]), cx.elements(cx.y[0]).div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        let [fh, fw] = self.0.factor;
        Rounding { terms: 9 * fh * fw, ulps: 4.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(op, [n, h, w, c]): (Upsample2dBilinear, [usize; 4])| {
        Case::new(Upsample2dBilinearDx(op)).random([n, h * op.factor[0], w * op.factor[1], c])
    };
    ways().map(case).collect()
}
