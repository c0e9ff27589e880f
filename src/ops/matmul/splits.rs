//! Sums of a product split into parts, so that few tiles of many terms keep a whole device busy: else their workgroups walk
//! all terms one after the other while most of a GPU has nothing to do.

use crate::ops::conv::conv2d::CONV2D_SUM;
use crate::ops::matmul::matmul_nt::MATMUL_NT_SUM;
use crate::ops::pointwise::then::Then;
use crate::ops::prelude::*;

/// Workgroups that keep a device of a class busy: about as many as a large GPU runs at a time, and some for every core.
fn groups(class: KernelClass) -> usize {
    match class {
        KernelClass::Tile => 512,
        KernelClass::Lanes(_) => 64,
    }
}

/// The fewest terms of a part: to write it and read it again is then cheap beside reading what it is made of.
const TERMS: usize = 128;
/// Sums of at least this many parts are distributed among invocations.
const MANY: usize = 8;

/// The bytes of parts that a sum may be split into for its digits alone.
const MOST_BYTES: usize = 64 << 20;

/// The fewest parts of a sum over `terms`, of `elements` each: none is longer than a run, as far as there is room for them.
pub(in crate::ops) fn fewest(terms: usize, elements: usize) -> usize {
    terms.div_ceil(sums::RUN).min(MOST_BYTES / (4 * elements)).max(1)
}

/// The contribution of a sum in such parts to an op's rounding.
pub(in crate::ops) fn terms_of(terms: usize, elements: usize) -> usize {
    match terms.div_ceil(fewest(terms, elements)) <= sums::RUN {
        true => sums::terms(terms),
        false => terms,
    }
}

/// How the sum over `terms` is split where a product has `tiles` tiles and parts of `elements`: the number of parts, none of
/// them empty, and the terms of one, in which the tiles' steps of 16 come out even.
pub(in crate::ops) fn splits(class: KernelClass, [tiles, terms, elements]: [usize; 3]) -> [usize; 2] {
    let splits = (groups(class) / tiles).min(terms / TERMS).max(fewest(terms, elements));
    let part = terms.div_ceil(splits).next_multiple_of(16);
    [terms.div_ceil(part), part]
}

/// The epilogue of the sums: bias [N] is added, an activation is applied, and one more operation.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ops) struct Epilogue {
    pub bias: Option<Tensor>,
    pub then: Then,
    pub with: With,
}

/// The further operation of a product's epilogue, besides bias and activation: its kernels differ in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum With {
    /// Puts zero where there is a mask and it is not above 0, after the activation: `lib/epilogue`.
    Mask(Option<Tensor>),
    /// Normalises before the activation, where there are ε, γ, β, mean and variance: `lib/epilogue_normal`.
    Norm(Option<Given>),
}

/// ε, and γ, β, mean and variance of every column.
pub(in crate::ops) type Given = (f64, [Tensor; 4]);

impl Default for With {
    fn default() -> Self {
        With::Mask(None)
    }
}

/// Sets a normalisation in a launch of a kernel that uses `lib/normal`. What is not there is not read.
pub(in crate::ops) fn set_norm(launch: Launch, norm: Option<Given>, any: Tensor) -> Launch {
    let (epsilon, given) = norm.unwrap_or((0.0, [any; 4]));
    let launch = launch.set("normed", norm.is_some()).set("epsilon", epsilon);
    ["gamma", "beta", "mean", "variance"].iter().zip(given).fold(launch, |launch, (name, t)| launch.bind(name, t))
}

impl Epilogue {
    /// Sets bias and activation in a launch. What is not there is not read, and `any` float buffer that the kernel reads
    /// will do.
    pub fn set_bias(&self, launch: Launch, any: Tensor) -> Launch {
        self.then.set(launch).set("biased", self.bias.is_some()).bind("bias", self.bias.unwrap_or(any))
    }

    /// Sets all of it in a launch.
    pub fn set(&self, launch: Launch, any: Tensor) -> Launch {
        let launch = self.set_bias(launch, any);
        match self.with {
            With::Mask(mask) => launch.set("masked", mask.is_some()).bind("mask", mask.unwrap_or(any)),
            With::Norm(norm) => set_norm(launch, norm, any),
        }
    }

    /// The kernel that adds up the parts of a product that ends with it.
    fn sum(&self) -> Source {
        match self.with {
            With::Mask(_) => MATMUL_NT_SUM,
            With::Norm(_) => CONV2D_SUM,
        }
    }
}

/// Launches a product of `tiles` tiles and `terms` terms: at once, into `whole`; or in parts of `elements` elements each,
/// which the kernel writes in its place, and `sum` is launched to add up, given the parts and their number.
pub(in crate::ops) fn split(
    cx: &mut Lower,
    launch: Launch,
    [tiles, terms, elements]: [usize; 3],
    (name, whole): (&str, Tensor),
    sum: impl FnOnce(&mut Lower, Tensor, usize) -> crate::Result<()>,
) -> crate::Result<()> {
    let [splits, part] = splits(cx.class, [tiles, terms, elements]);
    let launch = launch.size("splits", splits).size("per_split", part);
    if splits == 1 {
        return cx.groups(launch.bind(name, whole), tiles);
    }
    let partials = cx.scratch(splits * elements);
    cx.groups(launch.bind(name, partials), splits * tiles)?;
    sum(cx, partials, splits)
}

/// `split` for a product y of rows of `columns`, with what becomes of its sums. `any` is a float buffer that it reads.
pub(in crate::ops) fn product(
    cx: &mut Lower,
    launch: Launch,
    [tiles, terms, columns]: [usize; 3],
    end: Epilogue,
    [any, y]: [Tensor; 2],
) -> crate::Result<()> {
    let sizes = [tiles, terms, cx.elements(y)];
    split(cx, end.set(launch, any), sizes, ("y", y), |cx, partials, splits| {
        sum_rows(cx, (partials, splits), columns, end, y)
    })
}

/// Adds up the parts of y, which has rows of `columns`, with what becomes of the sums.
pub(in crate::ops) fn sum_rows(
    cx: &mut Lower,
    (partials, splits): (Tensor, usize),
    columns: usize,
    end: Epilogue,
    y: Tensor,
) -> crate::Result<()> {
    let count = cx.elements(y);
    let launch = end.set(sum(cx, end.sum(), partials, splits)?, partials);
    sums(cx, launch.size("elements", count).size("columns", columns).bind("y", y), count, splits)
}

/// Begins the launch of one of the kernels that add up `splits` parts (`lib/sum_parts`).
pub(in crate::ops) fn sum(cx: &mut Lower, kernel: Source, partials: Tensor, splits: usize) -> crate::Result<Launch> {
    let [sums, shares] = shares(cx.class, splits);
    let launch = cx.kernel(kernel, &[("S", sums as i64), ("P", shares as i64)])?;
    Ok(launch.size("splits", splits).bind("partials", partials))
}

/// Launches it for `count` sums.
pub(in crate::ops) fn sums(cx: &mut Lower, launch: Launch, count: usize, splits: usize) -> crate::Result<()> {
    cx.groups(launch, count.div_ceil(shares(cx.class, splits)[0]))
}

/// The sums of a workgroup, and the invocations that share out the parts of one.
fn shares(class: KernelClass, splits: usize) -> [usize; 2] {
    if class == KernelClass::Tile && splits >= MANY { [32, MANY] } else { [64, 1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_all_terms_and_none_is_empty() {
        for (tiles, terms) in
            [(1, 1), (1, 5408), (2, 5408), (4, 9216), (98, 576), (600, 5408), (1, 128), (1, 257), (3, 100_000)]
        {
            let [splits, part] = splits(KernelClass::Tile, [tiles, terms, 1000]);
            assert!(
                splits * part >= terms && (splits - 1) * part < terms,
                "{tiles} tiles, {terms} terms: {splits} of {part}"
            );
            assert!(
                splits == fewest(terms, 1000) || (part >= TERMS && splits * tiles <= groups(KernelClass::Tile)),
                "{tiles} tiles, {terms} terms: {splits} of {part}"
            );
        }
        // Two tiles would keep two of a GPU's hundred processors busy.
        assert_eq!(splits(KernelClass::Tile, [2, 5408, 1000]), [38, 144]);
        // A long sum has parts of its own, where they fit.
        assert_eq!(splits(KernelClass::Tile, [600, 100_000, 1000]), [13, 7696]);
        assert_eq!(splits(KernelClass::Tile, [600, 100_000, 5 << 20]), [3, 33344]);
    }
}
