//! Sums of a product split into parts, so that few tiles of many terms keep a whole device busy: else their workgroups walk
//! all terms one after the other while most of a GPU has nothing to do.

use crate::ops::prelude::*;

/// One of those of `matmul_nt`.
pub(in crate::ops) const KERNEL: Source = shader!("matmul/matmul_nt_sum");

/// Workgroups that keep a device of a class busy: about as many as a large GPU runs at a time, and some for every core.
fn groups(class: KernelClass) -> usize {
    match class {
        KernelClass::Tile => 512,
        KernelClass::Lanes(_) => 64,
    }
}

/// The fewest terms of a part: to write it and read it again is then cheap beside reading what it is made of.
const TERMS: usize = 128;
/// Sums of so many parts and more are shared out among invocations.
pub(in crate::ops) const MANY: usize = 8;

/// How the sum over `terms` is split where a product has `tiles` tiles: the number of parts, none of them empty, and the
/// terms of one, in which the tiles' steps of 16 come out even.
pub(in crate::ops) fn splits(class: KernelClass, tiles: usize, terms: usize) -> [usize; 2] {
    let splits = (groups(class) / tiles).min(terms / TERMS).max(1);
    let part = terms.div_ceil(splits).next_multiple_of(16);
    [terms.div_ceil(part), part]
}

/// What becomes of the sums: bias [N] is added, what is below zero cut off, what the mask leaves out zero.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ops) struct Epilogue {
    pub bias: Option<Tensor>,
    pub relu: bool,
    pub mask: Option<Tensor>,
}

/// Launches a product of `tiles` tiles and `terms` terms into `y`, called so by the kernel, of
/// [M, `columns`]: at once, or in parts and then their sum.
pub(in crate::ops) fn product(
    cx: &mut Lower,
    launch: Launch,
    [tiles, terms, columns]: [usize; 3],
    end: Epilogue,
    (name, y): (&str, Tensor),
) -> crate::Result<()> {
    let [splits, part] = splits(cx.class, tiles, terms);
    let launch = launch.size("splits", splits).size("per_split", part);
    if splits == 1 {
        return cx.groups(launch.bind(name, y), tiles);
    }
    let count = cx.elements(y);
    let partials = cx.scratch(splits * count);
    cx.groups(launch.bind(name, partials), splits * tiles)?;
    let shares = if splits < MANY { 1 } else { MANY };
    let launch =
        cx.kernel(KERNEL, &[("P", shares as i64)])?.sizes(&[("splits", splits), ("count", count), ("n", columns)]);
    let launch = launch.set("biased", end.bias.is_some()).set("relu", end.relu).set("masked", end.mask.is_some());
    // What is not there is not read, and any float buffer will do.
    let launch = launch.bind("bias", end.bias.unwrap_or(partials)).bind("mask", end.mask.unwrap_or(partials));
    cx.groups(launch.bind("partials", partials).bind("y", y), count.div_ceil(256 / shares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_all_terms_and_none_is_empty() {
        for (tiles, terms) in
            [(1, 1), (1, 5408), (2, 5408), (4, 9216), (98, 576), (600, 5408), (1, 128), (1, 257), (3, 100_000)]
        {
            let [splits, part] = splits(KernelClass::Tile, tiles, terms);
            assert!(
                splits * part >= terms && (splits - 1) * part < terms,
                "{tiles} tiles, {terms} terms: {splits} of {part}"
            );
            assert!(
                splits == 1 || (part >= TERMS && splits * tiles <= groups(KernelClass::Tile)),
                "{tiles} tiles, {terms} terms: {splits} of {part}"
            );
        }
        // Two tiles would keep two of a GPU's hundred processors busy.
        assert_eq!(splits(KernelClass::Tile, 2, 5408), [38, 144]);
    }
}
