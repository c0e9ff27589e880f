//! Convolution of images with bias, and what follows: a normalisation by given statistics, an activation.

use crate::ops::conv::conv2d_dw::Conv2dDw;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{direct, im2col, pad};
use crate::ops::matmul::bias::{check_bias, finish_rows, split_bias};
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::{Epilogue, Given, With, set_norm};
use crate::ops::norm::batch_norm::{Channels, NORM_ULPS};
use crate::ops::norm::columns;
use crate::ops::norm::columns::per_channel;
use crate::ops::pointwise::activation::{Activation, Function};
use crate::ops::pointwise::then::{Then, every};
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_TILE = "conv/conv2d_tile",
    CONV2D_LANES = "conv/conv2d_lanes",
    CONV2D_PATCH_LANES = "conv/conv2d_patch_lanes",
    CONV2D_SUM = "conv/conv2d_sum",
    CONV2D_PAD = "conv/conv2d_pad",
}

/// `y[n, oh, ow, o] = Σ x[n, oh·SH + i, ow·SW + j, c] · w[i, j, c, o] + b[o]`, then batch normalisation by given
/// statistics, and then an activation. The arguments are x [N, H, W, C], w [KH, KW, C, O] and, if there is one, b `[O]`; and
/// of the normalisation γ, β, mean and variance, `[O]` each. The result is [N, OH, OW, O].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// The padding around the image.
    pub padding: Padding,
    /// ε of the batch normalisation that follows; none if none does.
    pub norm: Option<f64>,
    /// The activation that follows.
    pub then: Then,
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

    /// A convolution that nothing follows.
    pub fn new(stride: [usize; 2], padding: Padding) -> Conv2d {
        Conv2d { stride, padding, norm: None, then: Then::Nothing }
    }

    /// This one without what follows.
    pub fn plain(&self) -> Conv2d {
        Conv2d::new(self.stride, self.padding)
    }

    /// The arguments without those of the normalisation, and those.
    fn split_norm<'a, T>(&self, x: &'a [T]) -> (&'a [T], Option<&'a [T; 4]>) {
        match x.split_last_chunk::<4>() {
            Some((x, given)) if self.norm.is_some() => (x, Some(given)),
            _ => (x, None),
        }
    }

    /// The gradients of x, w and b, from that of the sums.
    pub fn gradients(&self, graph: &mut Graph, at: &Backward, dy: Tensor) -> crate::Result<Vec<Option<Tensor>>> {
        let (x, w) = (at.x[0], at.x[1]);
        let plain = self.plain();
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
        (norm, y): (Option<Given>, Tensor),
    ) -> crate::Result<()> {
        let (mut first, table) = (0, [self.then.in_table()]);
        let form = match cx.class {
            KernelClass::Tile => LanesForm::Tile,
            KernelClass::Lanes(lanes) => g.lanes_form(lanes, g.c, g.o),
        };
        let (launch, groups) = match (form, cx.class) {
            (LanesForm::Patch, KernelClass::Lanes(lanes)) => {
                let groups = g.n * g.oh.div_ceil(2) * (g.o / 4).div_ceil(lanes as usize);
                (cx.kernel(CONV2D_PATCH_LANES, &[&g.patch_params(lanes)[..], &table].concat())?, groups)
            }
            (LanesForm::Product(tile), KernelClass::Lanes(lanes)) => {
                (x, _) = reshape::texture(cx, x)?;
                (weights, first) = reshape::texture(cx, weights)?;
                let groups = tile.groups(g.places(), g.o, lanes);
                (cx.kernel(CONV2D_LANES, &[&tile.params(lanes)[..], &table].concat())?, groups)
            }
            _ => {
                let tile = Tile::of(g.places(), g.o, g.c.is_multiple_of(4) && g.o.is_multiple_of(4));
                let launch = cx.kernel(CONV2D_TILE, &tile.params())?.sizes(&g.sizes());
                let launch = launch.bind("x", x).bind("weights", weights);
                let tiles = tile.groups(g.places(), g.o);
                let end = Epilogue { bias, then: self.then, with: With::Norm(norm) };
                return splits::product(cx, launch, [tiles, g.terms(), g.o], end, [weights, y]);
            }
        };
        let launch = self.then.set(launch).sizes(&g.sizes()).size("first", first);
        let launch = launch.bind("x", x).bind("weights", weights);
        let launch = launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(cx.x[1]));
        cx.groups(set_norm(launch, norm, cx.x[1]).bind("y", y), groups)
    }
}

impl Reference for Conv2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (x, given) = self.split_norm(x);
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
        if let Some((epsilon, given)) = self.norm.zip(given) {
            let norm = Channels::new(epsilon, given.each_ref().map(In::floats));
            y.iter_mut().enumerate().for_each(|(i, y)| *y = norm.normal(*y, i % g.o));
        }
        self.then.apply(y);
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, given) = self.split_norm(x);
        let (x, bias) = split_bias(x);
        let [x, w] = arguments(x)?;
        let g = self.geometry(axes(x)?, axes(w)?)?;
        check_bias(bias, g.o)?;
        match given {
            Some(given) => per_channel(g.o, given)?,
            None if self.norm.is_some() => {
                return Err("found no γ, β, mean and variance, expected those of the norm".into());
            }
            None => {}
        }
        Ok(vec![TensorInfo::floats("conv2d", g.y())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        if self.norm.is_some() {
            return Err(Error::failed(
                "found a normalisation within a convolution, expected an op of its own: its gradient needs its argument",
            ));
        }
        let dy = self.then.backward(graph, dy, at.y[0])?;
        self.gradients(graph, at, dy)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let (x, given) = self.split_norm(cx.x);
        let Some(even) = g.evened(cx.class) else {
            let arguments = ([x[0], x[1]], x.get(2).copied());
            return self.dispatch(cx, &g, arguments, (self.norm.zip(given.copied()), cx.y[0]));
        };
        let arguments = pad::arguments(cx, x, &g, &even)?;
        let given = given.map(|given| pad::channels(cx, *given, &g, &even)).transpose()?;
        pad::cropped(cx, cx.y[0], [g.places(), 1, even.o], [1, g.o], |cx, y| {
            self.dispatch(cx, &even, arguments, (self.norm.zip(given), y))
        })
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding {
            terms: x[1].elements() / x[1].shape.0[3] + 1,
            ulps: self.then.ulps() + self.norm.map_or(0.0, |_| NORM_ULPS),
        }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (own, given) = self.split_norm(x);
        run_on_magnitudes(&self.plain(), own, y);
        if let Some((epsilon, given)) = self.norm.zip(given) {
            let [gamma, beta, mean, variance] = given.each_ref().map(In::floats);
            for (i, y) in y[0].floats().iter_mut().enumerate() {
                let c = i % gamma.len();
                *y = gamma[c].abs() / (variance[c] + epsilon).sqrt() * (*y + mean[c].abs()) + beta[c].abs();
            }
        }
        self.then.magnitude(&Conv2d { then: Then::Nothing, ..*self }, x, y);
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (x, given) = self.split_norm(x);
        let (x, w, b, y) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y[0].floats());
        let then = if given.is_some() { Then::Nothing } else { self.then };
        if direct::fits(&g) {
            direct::Forward { g: &g, x, w, b, then, y, argmax: None }.run();
        } else {
            im2col::forward(&g, x, w, y);
            finish_rows(y, b, g.o, then);
        }
        if let Some((epsilon, given)) = self.norm.zip(given) {
            let norm = Channels::new(epsilon, given.each_ref().map(In::floats));
            columns::map(y, g.o, |z, c| self.then.value(norm.normal(z, c)));
        }
    }
}

/// Sizes of convolutions that are awkward on purpose: size 1, primes, kernel ≠ stride, one off the tile.
pub fn awkward() -> Vec<(Conv2d, [usize; 4], [usize; 4])> {
    let conv = Conv2d::new;
    use Padding::{Same, Valid, Zeros};
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
        (conv([1, 1], Same), [2, 7, 5, 36], [3, 3, 36, 44]),
        (conv([1, 1], Valid), [2, 5, 3, 32], [1, 1, 32, 8]),
        (conv([1, 1], Valid), [1, 3, 7, 33], [1, 1, 33, 11]),
        (conv([1, 1], Valid), [1, 7, 3, 36], [1, 1, 36, 40]),
        (conv([4, 4], Valid), [5, 28, 28, 1], [4, 4, 1, 64]),
        (conv([2, 2], Zeros([3, 3, 3, 3])), [2, 14, 13, 3], [7, 7, 3, 16]),
        (conv([1, 1], Zeros([0, 2, 1, 0])), [1, 5, 6, 4], [3, 3, 4, 8]),
        (conv([2, 1], Zeros([4, 1, 0, 5])), [2, 3, 4, 3], [3, 2, 3, 5]),
        (conv([1, 2], Zeros([1, 1, 1, 1])), [2, 6, 7, 32], [3, 3, 32, 36]),
    ]
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(op, x, w): (Conv2d, [usize; 4], [usize; 4])| {
        let plain = |op: Conv2d| Case::new(op).random(x).random(w);
        let relu = Conv2d { then: Then::Relu, ..op };
        [plain(op).random([w[3]]), plain(relu).random([w[3]]), plain(if w[3] % 2 == 0 { op } else { relu })]
    };
    // Every activation in every form: few channels, vectors of channels, channels that are padded, sums in parts.
    let conv = Conv2d::new([1, 1], Padding::Same);
    let sizes = [
        ([1, 5, 6, 3], [3, 3, 3, 8]),
        ([1, 4, 5, 8], [3, 3, 8, 12]),
        ([1, 4, 3, 6], [3, 3, 6, 7]),
        ([1, 3, 2, 128], [3, 3, 128, 4]),
    ];
    let ends = sizes.into_iter().flat_map(|(x, w)| {
        every().map(move |then| Case::new(Conv2d { then, ..conv }).random(x).random(w).random([w[3]]))
    });
    // A normalisation in each of them, and after it an activation; with bias and without.
    let normed = sizes.into_iter().flat_map(|(x, w)| {
        let norm = |then, bias: bool| {
            let case = Case::new(Conv2d { norm: Some(1e-3), then, ..conv }).random(x).random(w);
            let case = if bias { case.random([w[3]]) } else { case };
            let variance = (0..w[3]).map(|c| c as f32 * 0.3).collect();
            case.random([w[3]]).random([w[3]]).random([w[3]]).floats([w[3]], variance)
        };
        let gelu = Activation { function: Function::Gelu, slope: 0.0 };
        [norm(Then::Nothing, true), norm(Then::Relu, false), norm(Then::Apply(gelu), true)]
    });
    let large = Case::new(conv).random([1, 256, 256, 4]).random([3, 3, 4, 68]);
    in_turn(awkward().into_iter().map(case)).into_iter().chain(ends).chain(normed).chain([large]).collect()
}
