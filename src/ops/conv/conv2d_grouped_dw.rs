//! The gradients of a convolution in groups, or with dilation, with respect to its weights and its bias.

use crate::ops::conv::conv2d_dw::sum_partials;
use crate::ops::conv::conv2d_grouped::{Conv2dGrouped, Form, Grouped, awkward};
use crate::ops::prelude::*;

kernels! {
    CONV2D_GROUPED_DW = "conv/conv2d_grouped_dw",
    CONV2D_GROUPED_DW_FOUR = "conv/conv2d_grouped_dw_four",
    CONV2D_GROUPED_DW_DEPTH = "conv/conv2d_grouped_dw_depth",
}

/// Samples that share one partial sum on the host: a fixed number, so that results do not depend on the threads.
const SHARE: usize = 8;

/// The number of invocations that keep a device busy, and the maximum number of sums that are then added sequentially.
const BUSY: usize = 1 << 16;
const MOST_SPLITS: usize = 128;

/// `dw[i, j, k, o] = Σ x[n, oh·SH + i·DH, ow·SW + j·DW, o / outer · inner + k] · dy[n, oh, ow, o]` and
/// `db[o] = Σ dy[n, oh, ow, o]`. The arguments are x [N, H, W, C] and dy [N, OH, OW, O]; the results dw
/// [KH, KW, inner, O] and db `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dGroupedDw {
    /// The convolution.
    pub conv: Conv2dGrouped,
    /// Height and width of its window.
    pub kernel: [usize; 2],
}

impl Conv2dGroupedDw {
    fn geometry(&self, x: [usize; 4], dy: [usize; 4]) -> Result<Grouped, String> {
        let s = self.conv.sizes(x, self.kernel, dy[3])?;
        match s.g.y() == dy {
            true => Ok(s),
            false => Err(format!("dy of {:?} is expected", s.g.y())),
        }
    }
}

impl Reference for Conv2dGroupedDw {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (s, [dw, db]) = (checked(self.geometry(x[0].axes(), x[1].axes())), results(y));
        let (x, dy, dw, db) = (x[0].floats(), x[1].floats(), dw.floats(), db.floats());
        let (pixels, places) = (s.g.h * s.g.w * s.g.c, s.g.oh * s.g.ow * s.g.o);
        let share = |(x, dy): (&[F], &[F])| {
            let mut sums = sums::Runs::new(dw.len() + db.len());
            for (x, dy) in x.chunks(pixels).zip(dy.chunks(places)) {
                let places = s.g.oh * s.g.ow;
                for first in (0..places).step_by(sums::RUN) {
                    let places = first..places.min(first + sums::RUN);
                    sums.before(places.len());
                    let (dw, db) = sums.now.split_at_mut(dw.len());
                    let dy_here = &dy[places.start * s.g.o..places.end * s.g.o];
                    dy_here.chunks(s.g.o).for_each(|dy| db.iter_mut().zip(dy).for_each(|(db, dy)| *db += *dy));
                    s.for_each_tap_of(places, |at_x, at_w, at_y| {
                        let (x, dy) = (&x[at_x..][..s.g.c], &dy[at_y..][..s.g.o]);
                        let dw = &mut dw[at_w..][..s.inner * s.g.o];
                        if (s.inner, s.outer) == (1, 1) {
                            return dw.iter_mut().zip(x).zip(dy).for_each(|((dw, x), dy)| *dw += *x * *dy);
                        }
                        s.for_each_channel(|c, at_w, o| {
                            let dy = &dy[o..][..s.outer];
                            dw[at_w..][..s.outer].iter_mut().zip(dy).for_each(|(dw, dy)| *dw += x[c] * *dy);
                        });
                    });
                }
            }
            sums.finish()
        };
        let partials: Vec<Vec<F>> =
            x.par_chunks(SHARE * pixels).zip(dy.par_chunks(SHARE * places)).map(share).collect();
        dw.fill(F::of(0.0));
        db.fill(F::of(0.0));
        for partial in partials {
            dw.iter_mut().chain(db.iter_mut()).zip(partial).for_each(|(sum, part)| *sum += part);
        }
    }
}

impl Op for Conv2dGroupedDw {
    fn name(&self) -> &'static str {
        "conv2d_grouped_dw"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, dy] = arguments(x)?;
        let s = self.geometry(axes(x)?, axes(dy)?)?;
        let bias = TensorInfo::floats("conv2d_grouped_db", [s.g.o]);
        Ok(vec![TensorInfo::floats("conv2d_grouped_dw", s.weights()), bias])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let s = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let (kernel, wide) = match s.form() {
            Form::Any => (CONV2D_GROUPED_DW, 1),
            Form::Four => (CONV2D_GROUPED_DW_FOUR, 4),
            Form::Depth => (CONV2D_GROUPED_DW_DEPTH, 4),
        };
        // The sum over all rows of places is split so that small filters keep a whole device busy.
        let (sums, lines) = ((s.terms() + 1) * (s.g.o / wide), s.g.n * s.g.oh);
        let per_split = lines.div_ceil(BUSY.div_ceil(sums).min(MOST_SPLITS).min(lines));
        let splits = lines.div_ceil(per_split);
        let partials = cx.scratch(splits * sums * wide);
        let launch = s.set(cx.kernel(kernel, &[])?).size("splits", splits).size("per_split", per_split);
        let launch = launch.bind("x", cx.x[0]).bind("dy", cx.x[1]).bind("partials", partials);
        cx.invocations(launch, splits * sums)?;
        sum_partials(cx, partials, splits, [cx.y[0], cx.y[1]])
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |s| s.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: sums::terms(x[1].elements() / x[1].shape.0[3]), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(conv, x, w): (Conv2dGrouped, [usize; 4], [usize; 4])| {
        let y = conv.geometry(x, w).map_or([0; 4], |s| s.g.y());
        Case::new(Conv2dGroupedDw { conv, kernel: [w[0], w[1]] }).random(x).random(y)
    };
    // Long sums of equal numbers.
    let (side, conv) = (sums::LONG.isqrt() + 1, Conv2dGrouped { groups: 4, ..awkward()[0].0 });
    let size = || (Shape(vec![1, side, side, 4]), vec![0.1; 4 * side * side]);
    let (x, dy) = (size(), size());
    let long = Case::new(Conv2dGroupedDw { conv, kernel: [1, 1] }).floats(x.0, x.1).floats(dy.0, dy.1);
    awkward().into_iter().map(case).chain([long]).collect()
}
