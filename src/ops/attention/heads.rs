//! The heads of an attention: the sizes, where queries, keys and values lie, and which keys a query sees.

use crate::ops::attention::attention::Attention;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

/// Places that a workgroup owns, an invocation one.
pub(super) const BLOCK: usize = 64;

/// The most numbers that a head has: a kernel keeps its query and its sums in registers.
pub const LARGEST_HEAD: usize = 128;

/// Vectors of workgroup memory for each of two tiles: 16 KiB in all, the default limit of WebGPU, less two numbers for each place
/// of a tile.
const TILE: usize = 512 - 8;

/// B, Tq, Tk and D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the batch.
    pub batch: usize,
    /// Places of a row that ask.
    pub queries: usize,
    /// Places of a row that are looked at.
    pub keys: usize,
    /// Numbers of a head.
    pub size: usize,
}

impl Attention {
    /// Heads of keys and values.
    pub(super) fn pairs(&self) -> usize {
        self.heads / self.sharing.max(1)
    }

    /// Numbers of a place of the queries' argument and of that of keys and values, and where in it keys and values begin, in heads.
    pub(super) fn widths(&self) -> ([usize; 2], [usize; 2]) {
        let (own, pairs) = (self.heads, self.pairs());
        match self.memory {
            true => ([own, 2 * pairs], [0, pairs]),
            false => ([own + 2 * pairs; 2], [own, own + pairs]),
        }
    }

    /// Weights whose 32 random bits are below this become zero.
    pub(super) fn threshold(&self) -> u32 {
        (f64::from(self.dropout) * 2f64.powi(32)) as u32
    }

    /// What the others are multiplied by.
    pub(super) fn kept_scale(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.dropout))
    }

    /// The sizes, from the shapes of the queries' argument and of that of keys and values, which are often the same.
    pub(super) fn sizes(&self, q: &[usize], kv: &[usize]) -> Result<Sizes, String> {
        let ([own, other], _) = self.widths();
        let (heads, pairs) = (self.heads, self.pairs());
        if heads == 0 || self.sharing == 0 || !heads.is_multiple_of(self.sharing) {
            return Err(format!("found {heads} heads of which {} share keys, expected a divisor", self.sharing));
        }
        match (q, kv) {
            (&[batch, queries, wide], &[rows, keys, deep])
                if batch == rows
                    && wide.is_multiple_of(own)
                    && deep * own == wide * other
                    && batch * queries * keys * wide > 0 =>
            {
                let size = wide / own;
                match size <= LARGEST_HEAD {
                    true => Ok(Sizes { batch, queries, keys, size }),
                    false => Err(format!("found heads of {size} numbers, expected {LARGEST_HEAD} at most")),
                }
            }
            _ => Err(format!(
                "found queries {q:?} and keys {kv:?}, expected [B, T, {own}·D] and [B, T, {other}·D] for {heads} heads of queries and \
                 {pairs} of keys and values"
            )),
        }
    }

    /// The arguments by their names: the queries', that of keys and values, and the lengths.
    pub(super) fn given<T: Copy>(&self, x: &[T]) -> Result<(T, T, Option<T>), String> {
        let expected = 1 + usize::from(self.memory) + usize::from(self.lengths);
        let (Some(&q), true) = (x.first(), x.len() == expected) else {
            return Err(format!("{} arguments where {expected} are expected", x.len()));
        };
        let kv = if self.memory { x[1] } else { q };
        Ok((q, kv, x.get(1 + usize::from(self.memory)).copied()))
    }

    /// A launch of one of two kernels, for tiles and for lanes, with what all kernels of an attention have in common; and the
    /// places that a workgroup owns.
    pub(super) fn launch(
        &self,
        cx: &mut Lower,
        [tile, lanes]: [Source; 2],
        s: Sizes,
        (q, kv, valid): (Tensor, Tensor, Option<Tensor>),
    ) -> crate::Result<(Launch, usize)> {
        let ([own, other], [keys, values]) = self.widths();
        let vectors = s.size.div_ceil(4);
        let form = match cx.class {
            // Each lane has as many whole vectors as the others.
            KernelClass::Lanes(count) if s.size.is_multiple_of(4 * count as usize) => Some(count),
            _ => None,
        };
        let (launch, unit, places) = match form {
            Some(count) => {
                let ((q, first), (kv, begin)) = (reshape::texture(cx, q)?, reshape::texture(cx, kv)?);
                let params = [("U", vectors as i64), ("V", vectors as i64), ("L", count.into())];
                let launch = cx.kernel(lanes, &params)?.size("q_first", first).size("kv_first", begin);
                (launch.bind("q", q).bind("kv", kv), vectors, count as usize)
            }
            None => {
                // A kernel takes four keys at a time.
                let at_once = (TILE / vectors / 4 * 4).min(32);
                let [size, vectors, at_once] = [s.size, vectors, at_once].map(|n| n as i64);
                let params = [("U", size), ("D", size), ("V", vectors), ("K", at_once)];
                (cx.kernel(tile, &params)?.bind("q", q).bind("kv", kv), s.size, BLOCK)
            }
        };
        let launch =
            launch.sizes(&[("queries", s.queries), ("keys", s.keys), ("heads", self.heads), ("batch", s.batch)]);
        let launch =
            launch.sizes(&[("query_width", own * unit), ("key_width", other * unit), ("sharing", self.sharing)]);
        let launch = launch.sizes(&[("key_at", keys * unit), ("value_at", values * unit)]);
        let launch = launch.set("causal", self.causal).set("scale", s.scale());
        let launch = match self.dropout > 0.0 {
            true => launch.set("threshold", self.threshold()).set("kept_scale", self.kept_scale()),
            false => launch,
        };
        let launch = launch.set("limited", valid.is_some()).bind("lengths", valid.unwrap_or(cx.x[0]));
        Ok((launch, places))
    }
}

impl Sizes {
    /// The operations of `count` products of all queries and the keys that they see, at most.
    pub(super) fn products(&self, op: &Attention, count: usize) -> u64 {
        let pairs = self.queries * self.keys / if op.causal { 2 } else { 1 };
        (2 * count * self.batch * op.heads * pairs * self.size) as u64
    }

    /// 1 / √D.
    pub fn scale(&self) -> f64 {
        1.0 / (self.size as f64).sqrt()
    }
}
