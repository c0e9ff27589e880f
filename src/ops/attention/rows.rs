//! A head of one row of the batch, as the reference and the fast forms on the CPU see it.

use crate::ops::attention::attention::Attention;
use crate::ops::attention::heads::Sizes;
use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::step::control::pcg;

/// Vectors of one head at the places of a row, in a tensor of all heads.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, F> {
    /// The tensor from the head's first number on.
    pub data: &'a [F],
    /// Numbers from one place to the next.
    pub stride: usize,
    size: usize,
}

impl<'a, F> Rows<'a, F> {
    /// Row b of [B, places, width·size], from head `first` on.
    pub fn new(all: &'a [F], (b, places): (usize, usize), [width, first]: [usize; 2], size: usize) -> Self {
        let stride = width * size;
        Rows { data: &all[b * places * stride + first * size..], stride, size }
    }

    /// The vector at a place.
    pub fn at(&self, place: usize) -> &'a [F] {
        &self.data[place * self.stride..][..self.size]
    }

    /// The vectors from a place on.
    pub fn from(&self, place: usize) -> &'a [F] {
        &self.data[place * self.stride..]
    }
}

/// Head h of row b.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, F> {
    pub q: Rows<'a, F>,
    pub k: Rows<'a, F>,
    pub v: Rows<'a, F>,
    pub sizes: Sizes,
    valid: usize,
    causal: bool,
    dropout: Option<Dropped>,
}

/// The dropout of a head.
#[derive(Clone, Copy)]
struct Dropped {
    threshold: u32,
    scale: f64,
    key: u32,
    // The number of the weight of the first query and key.
    first: u32,
}

impl<'a, F: Real> Head<'a, F> {
    /// Of the arguments of an attention.
    pub fn new(
        op: &Attention,
        s: Sizes,
        (q, kv, lengths): (In<'a, F>, In<'a, F>, Option<In<'a, F>>),
        b: usize,
        h: usize,
    ) -> Self {
        let ([own, other], [keys, values]) = op.widths();
        let pair = h / op.sharing;
        let of_kv = |first| Rows::new(kv.floats(), (b, s.keys), [other, first + pair], s.size);
        Head {
            q: Rows::new(q.floats(), (b, s.queries), [own, h], s.size),
            k: of_kv(keys),
            v: of_kv(values),
            sizes: s,
            dropout: lengths.filter(|_| op.dropout > 0.0).map(|words| Dropped {
                threshold: op.threshold(),
                scale: op.kept_scale(),
                key: words.words()[s.batch],
                first: ((b * op.heads + h) * s.queries * s.keys) as u32,
            }),
            valid: lengths::of_row(lengths.map(|lengths| lengths.words()), b, s.keys),
            causal: op.causal,
        }
    }

    /// How many keys the query at a place sees.
    pub fn seen(&self, place: usize) -> usize {
        if self.causal { self.valid.min(place + 1) } else { self.valid }
    }

    /// Calls `f` with each key that query i sees and what its weight is multiplied by, where there is dropout.
    pub fn keep(&self, i: usize, mut f: impl FnMut(usize, F)) {
        if self.dropout.is_some() {
            (0..self.seen(i)).for_each(|j| f(j, self.kept(i, j)));
        }
    }

    /// What the weight of a key for a query is multiplied by.
    pub fn kept(&self, i: usize, j: usize) -> F {
        let Some(Dropped { threshold, scale, key, first }) = self.dropout else { return F::of(1.0) };
        let place = first.wrapping_add((i * self.sizes.keys + j) as u32);
        F::of(if pcg(place ^ key) < threshold { 0.0 } else { scale })
    }

    /// The scaled score of a query and a key.
    pub fn score(&self, i: usize, j: usize) -> F {
        F::of(self.sizes.scale()) * dot(self.q.at(i), self.k.at(j))
    }
}

/// `Σ a·b`.
pub(super) fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    a.iter().zip(b).fold(F::of(0.0), |sum, (a, b)| sum + *a * *b)
}

/// `y += factor·x`.
pub(super) fn add<F: Real>(y: &mut [F], factor: F, x: &[F]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * *x);
}

/// Puts what heads have computed, [places, size] each, at their places in a tensor [B, places, width·size], from head `first` on.
/// `of(b, head)` is what there is for it.
pub(super) fn place<'a, F: Real>(
    y: &mut [F],
    (places, size): (usize, usize),
    [width, first, heads]: [usize; 3],
    of: impl Fn(usize, usize) -> &'a [F] + Sync,
) {
    y.par_chunks_mut(width * size).enumerate().for_each(|(row, y)| {
        for (head, y) in y[first * size..].chunks_mut(size).take(heads).enumerate() {
            y.copy_from_slice(&of(row / places, head)[row % places * size..][..size]);
        }
    });
}
