//! Products of matrices, one for each of a batch.

use crate::ops::matmul::splits::Epilogue;
use crate::ops::matmul::{matmul_nn, matmul_nt, matmul_tn};
use crate::ops::prelude::*;
use crate::sys::{Gemm, gemm};

// The kernels are those of the single products, which have batches too.
kernels! {}

/// Which of its operands a product reads transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `y[i, j] = Σ_t a[i, t] · b[t, j]`: a [.., M, K], b [.., K, N].
    Nn,
    /// `y[i, j] = Σ_t a[i, t] · b[j, t]`: a [.., M, K], b [.., N, K].
    Nt,
    /// `y[i, j] = Σ_t a[t, i] · b[t, j]`: a [.., K, M], b [.., K, N].
    Tn,
}

/// For each place of the leading axes, which both arguments have, the product of two matrices; the result is [.., M, N].
#[derive(Clone, Copy, Debug)]
pub struct MatmulBatched {
    /// Which operands are transposed.
    pub form: Form,
}

/// The sizes of a batched product, and how far rows and columns of its operands are apart.
struct Sizes {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    /// From one row of the product, and from one term, to the next in a.
    a: [usize; 2],
    /// From one term, and from one column of the product, to the next in b.
    b: [usize; 2],
}

impl MatmulBatched {
    fn sizes(&self, a: &[usize], b: &[usize]) -> Result<Sizes, String> {
        let ([leading_a @ .., a_rows, a_columns], [leading_b @ .., b_rows, b_columns]) = (a, b) else {
            return Err(format!("found {a:?} and {b:?}, expected two axes or more of each"));
        };
        let (a_rows, a_columns, b_rows, b_columns) = (*a_rows, *a_columns, *b_rows, *b_columns);
        let ([m, k], [terms, n]) = match self.form {
            Form::Nn => ([a_rows, a_columns], [b_rows, b_columns]),
            Form::Nt => ([a_rows, a_columns], [b_columns, b_rows]),
            Form::Tn => ([a_columns, a_rows], [b_rows, b_columns]),
        };
        if leading_a != leading_b || k != terms || a.contains(&0) || b.contains(&0) {
            let form = self.form;
            return Err(format!(
                "found {a:?} and {b:?}, expected the same leading axes, as many terms, none of size 0 ({form:?})"
            ));
        }
        let a = if self.form == Form::Tn { [1, m] } else { [k, 1] };
        let b = if self.form == Form::Nt { [1, k] } else { [n, 1] };
        Ok(Sizes { batch: leading_a.iter().product(), m, n, k, a, b })
    }
}

impl Reference for MatmulBatched {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let s = checked(self.sizes(x[0].shape, x[1].shape));
        let (a, b, y) = (x[0].floats(), x[1].floats(), y[0].floats());
        for (at, y) in y.iter_mut().enumerate() {
            let (item, i, j) = (at / (s.m * s.n), at / s.n % s.m, at % s.n);
            *y = F::of(0.0);
            for t in 0..s.k {
                let (a_at, b_at) =
                    (item * s.m * s.k + i * s.a[0] + t * s.a[1], item * s.k * s.n + t * s.b[0] + j * s.b[1]);
                *y += a[a_at] * b[b_at];
            }
        }
    }
}

impl Op for MatmulBatched {
    fn name(&self) -> &'static str {
        "matmul_batched"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b] = arguments(x)?;
        let s = self.sizes(&a.shape.0, &b.shape.0)?;
        let leading = &a.shape.0[..a.shape.0.len() - 2];
        Ok(vec![TensorInfo::floats("matmul_batched", Shape([leading, &[s.m, s.n]].concat()))])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 2]) };
        let (a, b) = (at.x[0], at.x[1]);
        let [of_a, of_b] = match self.form {
            Form::Nn => [(Form::Nt, [dy, b]), (Form::Tn, [a, dy])],
            Form::Nt => [(Form::Nn, [dy, b]), (Form::Tn, [dy, a])],
            Form::Tn => [(Form::Nt, [b, dy]), (Form::Nn, [a, dy])],
        };
        let mut grad = |wanted: bool, (form, x): (Form, [Tensor; 2])| match wanted {
            true => Ok(Some(graph.apply(MatmulBatched { form }, &x)?[0])),
            false => Ok(None),
        };
        Ok(vec![grad(at.wants[0], of_a)?, grad(at.wants[1], of_b)?])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let s = self.sizes(&cx.shape(cx.x[0]), &cx.shape(cx.x[1])).map_err(Error::input)?;
        let sizes = [s.batch, s.m, s.n, s.k];
        match self.form {
            Form::Nn => matmul_nn::product(cx, sizes, None),
            Form::Nt => matmul_nt::product(cx, sizes, Epilogue::default()),
            Form::Tn => matmul_tn::product(cx, sizes, None),
        }
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let sizes = self.sizes(&x[0].shape.0, &x[1].shape.0);
        sizes.map_or(0, |s| 2 * (s.batch * s.m * s.n * s.k) as u64)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: self.sizes(&x[0].shape.0, &x[1].shape.0).map_or(0, |s| s.k), ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let s = checked(self.sizes(x[0].shape, x[1].shape));
        let (a, b) = (x[0].floats().par_chunks(s.m * s.k), x[1].floats().par_chunks(s.k * s.n));
        y[0].floats().par_chunks_mut(s.m * s.n).zip(a).zip(b).for_each(|((y, a), b)| {
            gemm(Gemm::serial([s.m, s.n, s.k]), y, (a, s.a), (b, s.b));
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(leading, [m, n, k]): (&[usize], [usize; 3])| {
        [Form::Nn, Form::Nt, Form::Tn].map(|form| {
            let of = |rows: usize, columns: usize| Shape([leading, &[rows, columns]].concat());
            let a = if form == Form::Tn { of(k, m) } else { of(m, k) };
            let b = if form == Form::Nt { of(n, k) } else { of(k, n) };
            Case::new(MatmulBatched { form }).random(a).random(b)
        })
    };
    // A batch of one, primes, one position, heads as a second leading axis, no leading axis, terms that are split; and sizes
    // for every lanes form: few terms, many, few columns, rows of one workgroup and of more.
    let cases: [(&[usize], [usize; 3]); 12] = [
        (&[1], [1, 1, 1]),
        (&[3], [7, 5, 13]),
        (&[2, 3], [1, 17, 8]),
        (&[2, 2], [65, 33, 16]),
        (&[5], [16, 64, 31]),
        (&[], [3, 2, 4]),
        (&[2], [4, 3, 700]),
        (&[3], [7, 36, 12]),
        (&[2, 2], [33, 40, 68]),
        (&[3], [20, 8, 9]),
        (&[2], [5, 12, 20]),
        (&[3], [35, 5, 16]),
    ];
    cases.into_iter().flat_map(case).collect()
}
