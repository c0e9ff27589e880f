//! The gradients of a convolution with respect to its weights and its bias.

use crate::ops::conv::conv2d::{Conv2d, awkward};
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{direct, im2col, pad};
use crate::ops::matmul::splits;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_DW_TILE = "conv/conv2d_dw_tile",
    CONV2D_DW_LANES = "conv/conv2d_dw_lanes",
    CONV2D_DW_PATCH_LANES = "conv/conv2d_dw_patch_lanes",
    CONV2D_DW_SUM = "conv/conv2d_dw_sum",
    CONV2D_DW_TAPS_LANES = "conv/conv2d_dw_taps_lanes",
}

/// `dw[i, j, c, o] = Σ x[n, oh·SH + i, ow·SW + j, c] · dy[n, oh, ow, o]` and `db[o] = Σ dy[n, oh, ow, o]`.
/// The arguments are x [N, H, W, C] and dy [N, OH, OW, O]; the results dw [KH, KW, C, O] and db `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dDw {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its window.
    pub kernel: [usize; 2],
}

impl Conv2dDw {
    fn geometry(&self, x: [usize; 4], dy: [usize; 4]) -> Result<Geometry, String> {
        let g = self.conv.geometry(x, [self.kernel[0], self.kernel[1], x[3], dy[3]])?;
        if g.y() != dy {
            return Err(format!("dy of {:?} is expected", g.y()));
        }
        Ok(g)
    }
}

impl Reference for Conv2dDw {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (g, [dw, db]) = (checked(self.geometry(x[0].axes(), x[1].axes())), results(y));
        let (x, dy, dw, db) = (x[0].floats(), x[1].floats(), dw.floats(), db.floats());
        dw.fill(F::of(0.0));
        db.fill(F::of(0.0));
        for (i, dy) in dy.iter().enumerate() {
            db[i % g.o] += *dy;
        }
        g.for_each_tap(|at_x, at_w, at_y| {
            for c in 0..g.c {
                for o in 0..g.o {
                    dw[at_w + c * g.o + o] += x[at_x + c] * dy[at_y + o];
                }
            }
        });
    }
}

impl Op for Conv2dDw {
    fn name(&self) -> &'static str {
        "conv2d_dw"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, dy] = arguments(x)?;
        let g = self.geometry(axes(x)?, axes(dy)?)?;
        Ok(vec![TensorInfo::floats("conv2d_dw", g.weights()), TensorInfo::floats("conv2d_db", [g.o])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        dispatch(cx, &g, cx.x[0], cx.x[1])
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let (channels, weights) = (x[1].shape.0[3], self.kernel[0] * self.kernel[1] * x[0].shape.0[3]);
        Rounding { terms: splits::terms_of(x[1].elements() / channels, (weights + 1) * channels), ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (g, [dw, db]) = (checked(self.geometry(x[0].axes(), x[1].axes())), results(y));
        let (x, dy, dw, db) = (x[0].floats(), x[1].floats(), dw.floats(), db.floats());
        match direct::fits(&g) {
            true => direct::Gradient { g: &g, x, dy, argmax: None, dw, db }.run(),
            false => im2col::weight_gradient(&g, x, dy, None, dw, db),
        }
    }
}

/// The sums of x and dy, into the op's two results.
pub(in crate::ops) fn dispatch(cx: &mut Lower, g: &Geometry, x: Tensor, dy: Tensor) -> crate::Result<()> {
    let Some(even) = g.evened(cx.class) else { return dispatch_into(cx, g, [x, dy], [cx.y[0], cx.y[1]]) };
    let x = pad::padded(cx, x, [g.n * g.h * g.w, 1, g.c], [1, even.c])?;
    let dy = pad::padded(cx, dy, [g.places(), 1, g.o], [1, even.o])?;
    let (dw, db) = (cx.y[0], cx.y[1]);
    pad::cropped(cx, dw, [g.kh * g.kw, even.c, even.o], [g.c, g.o], |cx, dw| {
        pad::cropped(cx, db, [1, 1, even.o], [1, g.o], |cx, db| dispatch_into(cx, &even, [x, dy], [dw, db]))
    })
}

fn dispatch_into(cx: &mut Lower, g: &Geometry, [mut x, dy]: [Tensor; 2], y: [Tensor; 2]) -> crate::Result<()> {
    let form = match cx.class {
        KernelClass::Tile => LanesForm::Tile,
        KernelClass::Lanes(lanes) => g.lanes_form(lanes, g.c, g.o),
    };
    let partial = (g.terms() + 1) * g.o;
    let (launch, tiles, terms) = match (form, cx.class) {
        (LanesForm::Product(_), KernelClass::Lanes(lanes)) if taps_fit(g, lanes) => {
            // As many vectors of output channels as keep the sums of a lane to 36.
            let vectors = (8 / (g.kh * g.kw)).max(1).min(g.o / 4);
            let sizes = [("L", lanes as usize), ("E", vectors), ("KH", g.kh), ("KW", g.kw), ("DH", 0), ("DW", 0)];
            let params = sizes.map(|(name, size)| (name, size as i64));
            let first;
            (x, first) = reshape::texture(cx, x)?;
            let tiles = (g.o / 4).div_ceil(vectors) * (g.c / 4).div_ceil(lanes as usize);
            (
                cx.kernel(CONV2D_DW_TAPS_LANES, &params)?.size("first", first).set("padded", g.padded()),
                tiles,
                g.places(),
            )
        }
        (LanesForm::Patch, KernelClass::Lanes(lanes)) => {
            let tiles = (g.o / 4).div_ceil(lanes as usize);
            (cx.kernel(CONV2D_DW_PATCH_LANES, &g.patch_params(lanes))?, tiles, g.n * g.oh.div_ceil(2))
        }
        (LanesForm::Product(LanesTile { vectors, .. }), KernelClass::Lanes(lanes)) => {
            let rows = [16, 8, 4].into_iter().find(|&rows| g.c >= rows).unwrap_or(4);
            let places = places_at_once(lanes) as i64;
            let params = [("L", lanes.into()), ("R", rows as i64), ("V", vectors as i64), ("U", places)];
            let tiles = g.kh * g.kw * g.c.div_ceil(rows) * (g.o / 4).div_ceil(vectors * lanes as usize);
            (cx.kernel(CONV2D_DW_LANES, &params)?, tiles, g.n * g.oh)
        }
        _ => {
            let tile = Tile::of(g.terms(), g.o, g.c.is_multiple_of(4) && g.o.is_multiple_of(4));
            (cx.kernel(CONV2D_DW_TILE, &tile.params())?, tile.groups(g.terms(), g.o), g.places())
        }
    };
    // The sum over all places is split so that small filters keep a whole device busy.
    let [splits, part] = match form {
        LanesForm::Tile => splits::splits(cx.class, [tiles, terms, partial]),
        _ => {
            let splits = 64usize.div_ceil(tiles).max(splits::fewest(g.places(), partial)).min(terms);
            [splits, terms.div_ceil(splits)]
        }
    };
    let partials = cx.scratch(splits * partial);
    let launch = launch.sizes(&g.sizes()).size("splits", splits).size("per_split", part);
    cx.groups(launch.bind("x", x).bind("dy", dy).bind("partials", partials), splits * tiles)?;
    sum_partials(cx, partials, splits, y)
}

/// Places of a row that the lanes form by single taps takes at a time.
fn places_at_once(lanes: u32) -> usize {
    if lanes > 8 { 16 } else { 8 }
}

/// Whether a workgroup of the lanes class keeps the sums of every tap, for places across the ends of rows: few taps, input
/// channels for most lanes, and rows whose end would leave the form by single taps idle. That one is faster where rows
/// come out even (docs/speed.md).
fn taps_fit(g: &Geometry, lanes: u32) -> bool {
    g.kh * g.kw <= 9 && g.c >= 3 * lanes as usize && !g.ow.is_multiple_of(places_at_once(lanes))
}

/// Sums `partials` [splits, weights + channels] into dw and db.
pub(in crate::ops) fn sum_partials(
    cx: &mut Lower,
    partials: Tensor,
    splits: usize,
    [dw, db]: [Tensor; 2],
) -> crate::Result<()> {
    let (weights, channels) = (cx.elements(dw), cx.elements(db));
    let launch = splits::sum(cx, CONV2D_DW_SUM, partials, splits)?.size("weights", weights).size("channels", channels);
    splits::sums(cx, launch.bind("dw", dw).bind("db", db), weights + channels, splits)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(conv, x, w): (Conv2d, [usize; 4], [usize; 4])| {
        let y = conv.geometry(x, w).map_or([0; 4], |g| g.y());
        Case::new(Conv2dDw { conv, kernel: [w[0], w[1]] }).random(x).random(y)
    };
    // Long sums of equal numbers: of few channels, and of more.
    let long = [[1, 1], [4, 4], [24, 8]].map(|[c, o]| {
        let (side, conv) = (sums::LONG.isqrt() + 1, Conv2d::new([1, 1], Padding::Valid));
        let size = |channels| (Shape(vec![1, side, side, channels]), vec![0.1; side * side * channels]);
        let (x, dy) = (size(c), size(o));
        Case::new(Conv2dDw { conv, kernel: [1, 1] }).floats(x.0, x.1).floats(dy.0, dy.1)
    });
    let large = case((Conv2d::new([1, 1], Padding::Valid), [1, 3, 4, 65_500], [1, 1, 65_500, 68]));
    awkward().into_iter().map(case).chain(long).chain([large]).collect()
}
