//! The product of a matrix and a transposed one, with bias, and the activation that follows: dense layers.

use crate::ops::matmul::bias::{check_bias, finish_rows, split_bias};
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::ops::matmul::matmul_tn::MatmulTn;
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::Epilogue;
use crate::ops::pointwise::then::{Then, every};
use crate::ops::prelude::*;
use crate::ops::shape::reshape;
use crate::sys::{Gemm, gemm};

kernels! {
    MATMUL_NT_TILE = "matmul/matmul_nt_tile",
    MATMUL_NT_LANES = "matmul/matmul_nt_lanes",
    MATMUL_NT_TERMS_LANES = "matmul/matmul_nt_terms_lanes",
    MATMUL_NT_SUM = "matmul/matmul_nt_sum",
}

/// `y[i, j] = Σ_t a[i, t] · b[j, t] + bias[j]`, and then an activation.
/// The arguments are a [.., K], whose leading axes are rows, b [N, K] and, if there is one, bias `[N]`; the result is [.., N].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MatmulNt {
    /// The activation that follows.
    pub then: Then,
}

impl Reference for MatmulNt {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, k], [n, _]) = (as_rows(x[0].shape), x[1].axes());
        let (a, b, bias, y) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y[0].floats());
        for (at, y) in y.iter_mut().enumerate() {
            let (i, j) = (at / n, at % n);
            let mut sum = bias.map_or(F::of(0.0), |bias| bias[j]);
            for t in 0..k {
                sum += a[i * k + t] * b[j * k + t];
            }
            *y = self.then.value(sum);
        }
    }
}

impl Op for MatmulNt {
    fn name(&self) -> &'static str {
        "matmul_nt"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, bias) = split_bias(x);
        let [a, b] = arguments(x)?;
        let ([_, k], [n, terms]) = (rows(a)?, axes(b)?);
        if k != terms {
            return Err(format!("rows of {k} and weights for {terms}"));
        }
        check_bias(bias, n)?;
        Ok(vec![TensorInfo::floats("matmul_nt", with_last(a, n))])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        let dy = self.then.backward(graph, dy, at.y[0])?;
        let mut grads = vec![None; at.x.len()];
        if at.wants[0] {
            grads[0] = Some(graph.apply(MatmulNn::default(), &[dy, at.x[1]])?[0]);
        }
        if at.wants[1..].contains(&true) {
            let of_weights = graph.apply(MatmulTn, &[dy, at.x[0]])?;
            grads[1..].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([m, k], [n, _]) = (as_rows(&cx.shape(cx.x[0])), cx.axes(cx.x[1])?);
        let end = Epilogue { bias: cx.x.get(2).copied(), then: self.then, ..Epilogue::default() };
        product(cx, [1, m, n, k], end)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[0]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0[1] + 1, ulps: self.then.ulps() }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let plain = MatmulNt::default();
        run_on_magnitudes(&plain, x, y);
        self.then.magnitude(&plain, x, y);
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([m, k], [n, _]) = (as_rows(x[0].shape), x[1].axes());
        let y = y[0].floats();
        gemm(Gemm::parallel([m, n, k]), y, (x[0].floats(), [k, 1]), (x[1].floats(), [1, k]));
        finish_rows(y, x.get(2).map(In::floats), n, self.then);
    }
}

/// Launches `batch` products one after the other: a [batch, m, k], b [batch, n, k], the result [batch, m, n].
pub(in crate::ops) fn product(cx: &mut Lower, [batch, m, n, k]: [usize; 4], end: Epilogue) -> crate::Result<()> {
    let (a, b, y) = (cx.x[0], cx.x[1], cx.y[0]);
    let sizes = [("batch", batch), ("m", m), ("n", n), ("k", k)];
    let whole = |launch: Launch| launch.sizes(&sizes).bind("a", a).bind("b", b);
    match cx.class {
        KernelClass::Lanes(lanes) if k.is_multiple_of(4) && n.is_multiple_of(4) && n >= 32 => {
            let tile = LanesTile::of(n, lanes);
            let (b, first) = reshape::texture(cx, b)?;
            let params = [&tile.params(lanes)[..], &[end.then.in_table()]].concat();
            let launch = cx.kernel(MATMUL_NT_LANES, &params)?.sizes(&sizes).size("first", first);
            let launch = end.set_bias(launch, a).bind("a", a).bind("b", b).bind("y", y);
            cx.groups(launch, batch * tile.groups(m, n, lanes))
        }
        KernelClass::Lanes(lanes) if k.is_multiple_of(4) => {
            let (rows, columns) = if n <= 5 || n.is_multiple_of(5) { (6, 5) } else { (4, 8) };
            let params = [("L", lanes.into()), ("R", rows as i64), ("C", columns as i64), ("U", 2)];
            let launch = end.set(whole(cx.kernel(MATMUL_NT_TERMS_LANES, &params)?), a).bind("y", y);
            cx.groups(launch, batch * m.div_ceil(rows) * n.div_ceil(columns))
        }
        _ => {
            let tile = Tile::of(m, n, k.is_multiple_of(4));
            let launch = whole(cx.kernel(MATMUL_NT_TILE, &tile.params())?);
            splits::product(cx, launch, [batch * tile.groups(m, n), k, n], end, [a, y])
        }
    }
}

/// Sizes of a product of which tiles of the class "tile" are largest: M, N, K.
pub const LARGE: [usize; 3] = [65_500, 68, 12];

/// Sizes of products, awkward on purpose: M, N, K.
pub const AWKWARD: [[usize; 3]; 16] = [
    [1, 1, 1],
    [3, 2, 1],
    [5, 10, 7],
    [17, 33, 31],
    [65, 31, 16],
    [128, 10, 676],
    [7, 129, 64],
    [16, 64, 257],
    [1, 68, 8],
    [63, 128, 100],
    [36, 52, 68],
    [9, 72, 10],
    [10, 12, 64],
    [5, 3, 1300],
    [70, 24, 40],
    [132, 140, 36],
];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[m, n, k]: [usize; 3]| {
        let plain = |then| Case::new(MatmulNt { then }).random([m, k]).random([n, k]);
        let odd = if m % 2 == 1 { Then::Relu } else { Then::Nothing };
        [plain(Then::Nothing).random([n]), plain(Then::Relu).random([n]), plain(odd)]
    };
    // Leading axes are rows.
    let leading = Case::new(MatmulNt::default()).random([2, 3, 5, 7]).random([4, 7]).random([4]);
    let vector = Case::new(MatmulNt { then: Then::Relu }).random([8]).random([3, 8]);
    // Every activation in every form: sums at once and in parts; with and without vectors of columns or terms.
    let sizes = [[9, 36, 24], [5, 7, 12], [3, 5, 6], [5, 3, 1300]];
    let ends = sizes.into_iter().flat_map(|[m, n, k]| {
        every().map(move |then| Case::new(MatmulNt { then }).random([m, k]).random([n, k]).random([n]))
    });
    // More columns than one vector of each lane has, and an activation; fewer than the widest tiles have on both sides.
    let wide = [[9, 260, 8], [20, 24, 12]].map(|[m, n, k]| {
        let then = every().last().unwrap_or(Then::Nothing);
        Case::new(MatmulNt { then }).random([m, k]).random([n, k]).random([n])
    });
    let all = in_turn(AWKWARD.into_iter().map(case)).into_iter().chain([leading, vector]);
    let [m, n, k] = LARGE;
    let large = Case::new(MatmulNt { then: Then::Relu }).random([m, k]).random([n, k]).random([n]);
    all.chain(ends).chain(wide).chain([large]).collect()
}
