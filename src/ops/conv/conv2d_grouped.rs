//! Convolution in groups of channels, with dilation, bias, and the activation that follows: depthwise ones, too. Direct,
//! since a group has few channels.

use crate::ops::conv::conv2d_grouped_dw::Conv2dGroupedDw;
use crate::ops::conv::conv2d_grouped_dx::Conv2dGroupedDx;
use crate::ops::conv::geometry::{Geometry, Padding};
use crate::ops::matmul::bias::{check_bias, split_bias};
use crate::ops::pointwise::then::{Then, every};
use crate::ops::prelude::*;
use std::ops::Range;

kernels! {
    CONV2D_GROUPED = "conv/conv2d_grouped",
    CONV2D_GROUPED_FOUR = "conv/conv2d_grouped_four",
    CONV2D_GROUPED_DEPTH = "conv/conv2d_grouped_depth",
}

/// `y[n, oh, ow, o] = Σ x[n, oh·SH + i·DH, ow·SW + j·DW, o / outer · inner + k] · w[i, j, k, o] + b[o]`, and then an
/// activation; each of the groups has `inner` = C / groups channels of x and `outer` = O / groups of y.
/// The arguments are x [N, H, W, C], w [KH, KW, inner, O] and, if there is one, b `[O]`; the result is [N, OH, OW, O].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dGrouped {
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// The padding around the image.
    pub padding: Padding,
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Groups of channels that have nothing to do with each other.
    pub groups: usize,
    /// The activation that follows.
    pub then: Then,
}

/// The sizes of such a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Grouped {
    /// All but what follows.
    pub g: Geometry,
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Channels of x in a group.
    pub inner: usize,
    /// Channels of y in a group.
    pub outer: usize,
}

/// Which kernels serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Form {
    /// Any sizes.
    Any,
    /// A group has channels of y in multiples of four.
    Four,
    /// Each channel is its own group, and there is a multiple of four of them.
    Depth,
}

impl Conv2dGrouped {
    /// The sizes for x and this many filters of a window, or a sentence that says why they do not fit.
    pub fn sizes(&self, x: [usize; 4], [kh, kw]: [usize; 2], o: usize) -> Result<Grouped, String> {
        let Conv2dGrouped { groups, dilation: [dh, dw], .. } = *self;
        if [groups, dh, dw, kh, kw].contains(&0) {
            return Err("window, dilation and groups must be at least 1".into());
        }
        for (what, count) in [("channels", x[3]), ("filters", o)] {
            if !count.is_multiple_of(groups) {
                return Err(format!("found {count} {what} and groups = {groups}, expected {what} in multiples of it"));
            }
        }
        // What a window spans, holes included; kernels count in 32 bits.
        let span = |k: usize, dilation: usize| (k - 1).saturating_mul(dilation).saturating_add(1);
        let spans = [span(kh, dh), span(kw, dw)];
        if spans.iter().any(|&span| span > i32::MAX as usize) {
            return Err(format!("a window of {kh} × {kw} spans {} × {} with its dilation", spans[0], spans[1]));
        }
        let g = Geometry { kh, kw, ..Geometry::new(x, spans, o, self.stride, self.padding)? };
        Ok(Grouped { g, dilation: self.dilation, inner: x[3] / groups, outer: o / groups })
    }

    /// The convolution without what follows.
    fn plain(&self) -> Conv2dGrouped {
        Conv2dGrouped { then: Then::Nothing, ..*self }
    }

    /// `sizes` for x and w.
    pub fn geometry(&self, x: [usize; 4], w: [usize; 4]) -> Result<Grouped, String> {
        let [kh, kw, inner, o] = w;
        let sizes = self.sizes(x, [kh, kw], o)?;
        match sizes.inner == inner {
            true => Ok(sizes),
            false => Err(format!("the weights are for {inner} channels a group, x has {}", sizes.inner)),
        }
    }
}

impl Grouped {
    /// The sizes by the names that the kernels use.
    pub(in crate::ops) fn set(&self, launch: Launch) -> Launch {
        let [dh, dw] = self.dilation;
        let own = [("dilation_h", dh), ("dilation_w", dw), ("inner", self.inner), ("outer", self.outer)];
        launch.sizes(&self.g.sizes()).sizes(&own)
    }

    /// Terms of one output.
    pub fn terms(&self) -> usize {
        self.g.kh * self.g.kw * self.inner
    }

    /// Multiplications and additions of the convolution, and of each of its gradients.
    pub(in crate::ops) fn flops(&self) -> u64 {
        2 * self.g.places() as u64 * (self.terms() * self.g.o) as u64
    }

    /// The shape of the weights.
    pub fn weights(&self) -> [usize; 4] {
        [self.g.kh, self.g.kw, self.inner, self.g.o]
    }

    /// The kernels that serve.
    pub(in crate::ops) fn form(&self) -> Form {
        match (self.inner, self.outer) {
            (1, 1) if self.g.c.is_multiple_of(4) => Form::Depth,
            (_, outer) if outer.is_multiple_of(4) => Form::Four,
            _ => Form::Any,
        }
    }

    /// Calls `f(x, w, y)` with the offsets in one image of every pixel, of its C channels; of a tap, of its weights; and of
    /// an output place, of its O channels, that meet; in the order of y, then taps.
    pub(in crate::ops) fn for_each_tap(&self, f: impl FnMut(usize, usize, usize)) {
        self.for_each_tap_of(0..self.g.oh * self.g.ow, f);
    }

    /// `for_each_tap` of these places.
    #[inline(always)]
    pub(in crate::ops) fn for_each_tap_of(&self, places: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
        let (g, [dh, dw]) = (&self.g, self.dilation);
        let inside = |at: usize, pad: usize, size: usize| at.checked_sub(pad).filter(|&at| at < size);
        for place in places {
            for i in 0..g.kh {
                let Some(row) = inside(place / g.ow * g.sh + i * dh, g.pt, g.h) else { continue };
                for j in 0..g.kw {
                    let Some(column) = inside(place % g.ow * g.sw + j * dw, g.pl, g.w) else { continue };
                    f((row * g.w + column) * g.c, (i * g.kw + j) * self.inner * g.o, place * g.o);
                }
            }
        }
    }

    /// Calls `f(x, w, y)` with the offsets within a pixel, a tap and a place of the channels and weights that meet: those
    /// of one channel of x and of all of y in its group, of which there are `outer`.
    #[inline(always)]
    pub(in crate::ops) fn for_each_channel(&self, mut f: impl FnMut(usize, usize, usize)) {
        for c in 0..self.g.c {
            let first = c / self.inner * self.outer;
            f(c, c % self.inner * self.g.o + first, first);
        }
    }
}

impl Reference for Conv2dGrouped {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let s = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (x, w, b, zero) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), F::of(0.0));
        let images = y[0].floats().par_chunks_mut(s.g.oh * s.g.ow * s.g.o).zip(x.par_chunks(s.g.h * s.g.w * s.g.c));
        images.for_each(|(y, x)| {
            match b {
                Some(b) => y.chunks_mut(s.g.o).for_each(|y| y.copy_from_slice(b)),
                None => y.fill(zero),
            }
            s.for_each_tap(|at_x, at_w, at_y| {
                let (x, w, y) = (&x[at_x..][..s.g.c], &w[at_w..][..s.inner * s.g.o], &mut y[at_y..][..s.g.o]);
                if (s.inner, s.outer) == (1, 1) {
                    return y.iter_mut().zip(x).zip(w).for_each(|((y, x), w)| *y += *x * *w);
                }
                s.for_each_channel(|c, at_w, o| {
                    let w = &w[at_w..][..s.outer];
                    y[o..][..s.outer].iter_mut().zip(w).for_each(|(y, w)| *y += x[c] * *w);
                });
            });
            self.then.apply(y);
        });
    }
}

impl Op for Conv2dGrouped {
    fn name(&self) -> &'static str {
        "conv2d_grouped"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, bias) = split_bias(x);
        let [x, w] = arguments(x)?;
        let s = self.geometry(axes(x)?, axes(w)?)?;
        check_bias(bias, s.g.o)?;
        Ok(vec![TensorInfo::floats("conv2d_grouped", s.g.y())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        let Some(dy) = at.dy[0] else { return Ok(grads) };
        let dy = self.then.backward(graph, dy, at.y[0])?;
        let (x, w) = (at.x[0], at.x[1]);
        let conv = self.plain();
        let shape = |t| axes::<4>(graph.info(t)).map_err(Error::input);
        let ([_, h, width, _], [kh, kw, _, _]) = (shape(x)?, shape(w)?);
        if at.wants[0] {
            grads[0] = Some(graph.apply(Conv2dGroupedDx { conv, input: [h, width] }, &[dy, w])?[0]);
        }
        if at.wants[1..].contains(&true) {
            let of_weights = graph.apply(Conv2dGroupedDw { conv, kernel: [kh, kw] }, &[x, dy])?;
            grads[1..].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let s = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let (kernel, count) = match s.form() {
            Form::Any => (CONV2D_GROUPED, s.g.places() * s.g.o),
            Form::Four => (CONV2D_GROUPED_FOUR, s.g.n * s.g.oh * s.g.ow.div_ceil(4) * (s.g.o / 4)),
            Form::Depth => (CONV2D_GROUPED_DEPTH, s.g.places() * (s.g.o / 4)),
        };
        let launch = self.then.set(s.set(cx.kernel(kernel, &[])?)).size("count", count).bind("x", cx.x[0]);
        let bias = cx.x.get(2).copied();
        // Where there is no bias the kernel does not read it, and any float buffer will do.
        let launch = launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(cx.x[1]));
        cx.invocations(launch.bind("weights", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |s| s.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].elements() / x[1].shape.0[3] + 1, ulps: self.then.ulps() }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        run_on_magnitudes(&self.plain(), x, y);
        self.then.magnitude(&self.plain(), x, y);
    }
}

/// Convolutions that are awkward on purpose, with x and w: one channel, primes, groups of one, two and all channels,
/// kernel ≠ stride, dilation under both paddings, more places than a row of four.
pub(in crate::ops) fn awkward() -> Vec<(Conv2dGrouped, [usize; 4], [usize; 4])> {
    let conv =
        |stride, padding, dilation, groups| Conv2dGrouped { stride, padding, dilation, groups, then: Then::Nothing };
    use Padding::{Same, Valid, Zeros};
    vec![
        (conv([1, 1], Valid, [1, 1], 1), [1, 1, 1, 1], [1, 1, 1, 1]),
        (conv([1, 1], Same, [2, 2], 1), [2, 7, 5, 3], [3, 3, 3, 5]),
        (conv([2, 1], Same, [1, 3], 2), [2, 7, 11, 6], [3, 2, 3, 4]),
        (conv([3, 2], Valid, [2, 1], 3), [1, 13, 9, 6], [4, 3, 2, 9]),
        // Each channel alone: fewer than four, a prime, multiples of four, and two filters for each.
        (conv([1, 1], Same, [1, 1], 3), [3, 5, 6, 3], [3, 3, 1, 3]),
        (conv([2, 2], Same, [1, 1], 7), [2, 9, 8, 7], [2, 3, 1, 7]),
        (conv([1, 1], Same, [1, 1], 8), [2, 7, 9, 8], [3, 3, 1, 8]),
        (conv([2, 3], Valid, [3, 2], 12), [3, 11, 13, 12], [2, 3, 1, 12]),
        (conv([3, 3], Same, [1, 1], 4), [1, 7, 8, 4], [1, 2, 1, 4]),
        (conv([1, 2], Same, [2, 1], 5), [2, 6, 7, 5], [3, 3, 1, 10]),
        (conv([1, 1], Valid, [1, 1], 3), [1, 9, 6, 3], [3, 3, 1, 12]),
        // Vectors of four filters in a group.
        (conv([1, 1], Same, [2, 3], 1), [2, 13, 7, 5], [3, 2, 5, 8]),
        (conv([2, 1], Same, [1, 1], 2), [1, 5, 9, 6], [3, 3, 3, 24]),
        (conv([3, 4], Valid, [1, 1], 4), [2, 10, 17, 8], [2, 2, 2, 16]),
        // A window as wide as the image, and more rows than one split has.
        (conv([1, 1], Valid, [4, 3], 2), [1, 9, 7, 2], [3, 3, 1, 4]),
        (conv([1, 1], Same, [5, 5], 32), [9, 31, 29, 32], [3, 3, 1, 32]),
        // Zeros on each side, more than a window has in one place.
        (conv([2, 2], Zeros([2, 2, 2, 2]), [1, 1], 8), [2, 9, 7, 8], [5, 5, 1, 8]),
        (conv([1, 2], Zeros([0, 3, 5, 1]), [2, 1], 3), [1, 6, 4, 6], [3, 3, 2, 9]),
    ]
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(op, x, w): (Conv2dGrouped, [usize; 4], [usize; 4])| {
        let plain = |op: Conv2dGrouped| Case::new(op).random(x).random(w);
        let relu = Conv2dGrouped { then: Then::Relu, ..op };
        [plain(op).random([w[3]]), plain(relu).random([w[3]]), plain(if x[0] == 1 { op } else { relu })]
    };
    // Every activation in each of the three forms.
    let sizes = [([1, 4, 5, 6], [3, 2, 3, 6]), ([1, 4, 5, 6], [3, 2, 3, 8]), ([1, 4, 5, 8], [3, 2, 1, 8])];
    let ends = sizes.into_iter().flat_map(|(x, w): ([usize; 4], [usize; 4])| {
        let conv = Conv2dGrouped {
            stride: [1, 1],
            padding: Padding::Same,
            dilation: [1, 2],
            groups: x[3] / w[2],
            then: Then::Nothing,
        };
        every().map(move |then| Case::new(Conv2dGrouped { then, ..conv }).random(x).random(w).random([w[3]]))
    });
    in_turn(awkward().into_iter().map(case)).into_iter().chain(ends).collect()
}
