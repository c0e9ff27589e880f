//! Samples held out for testing, if no file or folder has a test part.

use std::collections::{BTreeMap, HashSet};

/// One of this number of samples of each class is held out for testing, where no file or folder has them.
pub(super) const HELD_OUT: usize = 5;

/// The least that a test split has, where all samples are trained on: the first of them.
pub(super) fn one_of(count: usize) -> Vec<bool> {
    (0..count).map(|n| n == 0).collect()
}

/// Which samples are held out for testing, [labels]: of each class those with the smallest keys, so that samples that are added
/// or taken away move few others. A class of one sample keeps none.
pub(super) fn held_out<L: Ord + Copy, K: Ord>(labels: &[L], key: impl Fn(usize) -> K) -> Vec<bool> {
    let mut classes: BTreeMap<L, Vec<usize>> = BTreeMap::new();
    labels.iter().enumerate().for_each(|(n, &label)| classes.entry(label).or_default().push(n));
    let mut kept = vec![false; labels.len()];
    for mut class in classes.into_values() {
        class.sort_by_cached_key(|&n| key(n));
        let count = match class.len() {
            1 => 0,
            count => (count / HELD_OUT).max(1),
        };
        class.iter().take(count).for_each(|&n| kept[n] = true);
    }
    kept
}

/// Samples to train on and samples to test on, one in `of`, the same ones whatever their order; those whose keys are the same
/// are all on one side.
pub(super) fn divided<T>(all: Vec<T>, of: usize, key: impl Fn(&T) -> &str) -> (Vec<T>, Vec<T>) {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_cached_key(|&at| (crc32fast::hash(key(&all[at]).as_bytes()), key(&all[at]).to_owned()));
    let mut count = all.len().div_ceil(of);
    // One that is there again tells of the others.
    while count < order.len() && count > 0 && key(&all[order[count]]) == key(&all[order[count - 1]]) {
        count += 1;
    }
    let kept: HashSet<usize> = order[..count].iter().copied().collect();
    let (test, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(at, _)| kept.contains(at));
    let plain = |samples: Vec<(usize, T)>| samples.into_iter().map(|(_, sample)| sample).collect();
    (plain(train), plain(test))
}
