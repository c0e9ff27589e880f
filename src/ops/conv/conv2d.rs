//! Convolution of images with bias, and a ReLU where one follows.

use crate::ops::conv::conv2d_dw::Conv2dDw;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{direct, im2col, pad};
use crate::ops::matmul::bias::{check_bias, finish_rows, split_bias};
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::Epilogue;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_TILE = "conv/conv2d_tile",
    CONV2D_LANES = "conv/conv2d_lanes",
    CONV2D_PATCH_LANES = "conv/conv2d_patch_lanes",
    CONV2D_PAD = "conv/conv2d_pad",
}

/// `y[n, oh, ow, o] = Σ x[n, oh·SH + i, ow·SW + j, c] · w[i, j, c, o] + b[o]`, then max(·, 0) with `relu`.
/// The arguments are x [N, H, W, C], w [KH, KW, C, O] and, if there is one, b `[O]`; the result is [N, OH, OW, O].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// What is added around the image.
    pub padding: Padding,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Conv2d {
    /// The sizes for these arguments.
    pub fn geometry(&self, x: [usize; 4], w: [usize; 4]) -> Result<Geometry, String> {
        let [kh, kw, c, o] = w;
        if c != x[3] {
            return Err(format!("the weights are for {c} channels, x has {}", x[3]));
        }
        Geometry::new(x, [kh, kw], o, self.stride, self.padding)
    }

    /// The gradients of x, w and b, from that of the result before its ReLU.
    pub fn gradients(&self, graph: &mut Graph, at: &Backward, dy: Tensor) -> crate::Result<Vec<Option<Tensor>>> {
        let (x, w) = (at.x[0], at.x[1]);
        let plain = Conv2d { relu: false, ..*self };
        let shape = |t| axes::<4>(graph.info(t)).map_err(Error::input);
        let ([_, h, width, _], [kh, kw, _, _]) = (shape(x)?, shape(w)?);
        let mut grads = vec![None; at.x.len()];
        if at.wants[0] {
            let op = Conv2dDx { conv: plain, input: [h, width], masked: false };
            grads[0] = Some(graph.apply(op, &[dy, w])?[0]);
        }
        if at.wants[1..].contains(&true) {
            let of_weights = graph.apply(Conv2dDw { conv: plain, kernel: [kh, kw] }, &[x, dy])?;
            grads[1..].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn dispatch(
        &self,
        cx: &mut Lower,
        g: &Geometry,
        ([mut x, mut weights], bias): pad::Arguments,
        y: Tensor,
    ) -> crate::Result<()> {
        let mut first = 0;
        let form = match cx.class {
            KernelClass::Tile => LanesForm::Tile,
            KernelClass::Lanes(lanes) => g.lanes_form(lanes, g.c, g.o),
        };
        let (launch, groups) = match (form, cx.class) {
            (LanesForm::Patch, KernelClass::Lanes(lanes)) => {
                let groups = g.n * g.oh.div_ceil(2) * (g.o / 4).div_ceil(lanes as usize);
                (cx.kernel(CONV2D_PATCH_LANES, &g.patch_params(lanes))?, groups)
            }
            (LanesForm::Product(tile), KernelClass::Lanes(lanes)) => {
                (x, _) = reshape::texture(cx, x)?;
                (weights, first) = reshape::texture(cx, weights)?;
                let groups = tile.groups(g.places(), g.o, lanes);
                (cx.kernel(CONV2D_LANES, &tile.params(lanes))?, groups)
            }
            _ => {
                let (tm, tn) = (64, side(g.o));
                let launch = cx.kernel(CONV2D_TILE, &[("TM", tm as i64), ("TN", tn as i64)])?.sizes(&g.sizes());
                let launch = launch.bind("x", x).bind("weights", weights);
                let tiles = g.places().div_ceil(tm) * g.o.div_ceil(tn);
                let end = Epilogue { bias, relu: self.relu, mask: None };
                return splits::product(cx, launch, [tiles, g.terms(), g.o], end, [weights, y]);
            }
        };
        let launch =
            launch.sizes(&g.sizes()).size("first", first).set("relu", self.relu).bind("x", x).bind("weights", weights);
        let launch = launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(cx.x[1]));
        cx.groups(launch.bind("y", y), groups)
    }
}

impl Reference for Conv2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (x, w, b, y) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y[0].floats());
        for (i, y) in y.iter_mut().enumerate() {
            *y = b.map_or(F::of(0.0), |b| b[i % g.o]);
        }
        g.for_each_tap(|at_x, at_w, at_y| {
            for c in 0..g.c {
                for o in 0..g.o {
                    y[at_y + o] += x[at_x + c] * w[at_w + c * g.o + o];
                }
            }
        });
        if self.relu {
            let zero = F::of(0.0);
            y.iter_mut().filter(|y| **y < zero).for_each(|y| *y = zero);
        }
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, bias) = split_bias(x);
        let [x, w] = arguments(x)?;
        let g = self.geometry(axes(x)?, axes(w)?)?;
        check_bias(bias, g.o)?;
        Ok(vec![TensorInfo::floats("conv2d", g.y())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(mut dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        if self.relu {
            dy = graph.apply(ReluDx, &[dy, at.y[0]])?[0];
        }
        self.gradients(graph, at, dy)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let Some(even) = g.evened(cx.class) else {
            let arguments = ([cx.x[0], cx.x[1]], cx.x.get(2).copied());
            return self.dispatch(cx, &g, arguments, cx.y[0]);
        };
        let arguments = pad::arguments(cx, &g, &even)?;
        pad::cropped(cx, cx.y[0], [g.places(), 1, even.o], [1, g.o], |cx, y| self.dispatch(cx, &even, arguments, y))
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].elements() / x[1].shape.0[3] + 1, ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (x, w, b, y) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y[0].floats());
        if direct::fits(&g) {
            return direct::Forward { g: &g, x, w, b, relu: self.relu, y, argmax: None }.run();
        }
        im2col::forward(&g, x, w, y);
        finish_rows(y, b, g.o, self.relu);
    }
}

/// Sizes of convolutions that are awkward on purpose: size 1, primes, kernel ≠ stride, one off the tile.
pub fn awkward() -> Vec<(Conv2d, [usize; 4], [usize; 4])> {
    let conv = |stride, padding| Conv2d { stride, padding, relu: false };
    use Padding::{Same, Valid};
    vec![
        (conv([1, 1], Valid), [1, 1, 1, 1], [1, 1, 1, 1]),
        (conv([1, 1], Valid), [2, 9, 8, 1], [3, 3, 1, 5]),
        (conv([2, 2], Same), [1, 7, 7, 3], [3, 3, 3, 4]),
        (conv([1, 1], Same), [2, 8, 5, 4], [2, 3, 4, 33]),
        (conv([3, 2], Valid), [2, 11, 10, 2], [5, 4, 2, 6]),
        (conv([2, 2], Same), [1, 6, 6, 3], [4, 4, 3, 8]),
        (conv([1, 1], Same), [3, 4, 3, 7], [1, 1, 7, 65]),
        (conv([1, 1], Same), [1, 5, 5, 36], [3, 3, 36, 4]),
        (conv([1, 1], Valid), [2, 12, 11, 32], [3, 3, 32, 64]),
        (conv([3, 3], Valid), [1, 17, 19, 12], [2, 2, 12, 31]),
        (conv([1, 1], Valid), [5, 28, 28, 1], [3, 3, 1, 32]),
        (conv([1, 1], Same), [2, 13, 10, 3], [5, 5, 3, 32]),
        (conv([1, 1], Same), [2, 7, 9, 3], [3, 3, 3, 20]),
        (conv([1, 1], Same), [2, 6, 5, 12], [3, 3, 12, 28]),
        (conv([1, 1], Same), [1, 5, 3, 68], [3, 3, 68, 72]),
        (conv([1, 1], Same), [1, 6, 5, 20], [3, 3, 20, 24]),
        (conv([1, 1], Same), [1, 3, 8, 20], [3, 3, 20, 40]),
        (conv([1, 1], Same), [1, 3, 8, 16], [3, 3, 16, 12]),
        (conv([1, 1], Same), [2, 3, 16, 12], [3, 3, 12, 28]),
        (conv([1, 1], Valid), [1, 5, 6, 64], [3, 3, 64, 36]),
        (conv([1, 1], Valid), [2, 5, 3, 32], [1, 1, 32, 8]),
        (conv([1, 1], Valid), [1, 3, 7, 33], [1, 1, 33, 11]),
        (conv([1, 1], Valid), [1, 7, 3, 36], [1, 1, 36, 40]),
    ]
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(op, x, w): (Conv2d, [usize; 4], [usize; 4])| {
        let plain = |op: Conv2d| Case::new(op).random(x).random(w);
        let relu = Conv2d { relu: true, ..op };
        [plain(op).random([w[3]]), plain(relu).random([w[3]]), plain(if w[3] % 2 == 0 { op } else { relu })]
    };
    in_turn(awkward().into_iter().map(case))
}
