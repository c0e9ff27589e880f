//! Memory by lifetime: what is needed one after the other lies in the same place.

use crate::ir::graph::{Graph, Role, Tensor, TensorInfo, root};
use std::collections::BTreeMap;

/// The memory that a tensor needs, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<K> {
    /// The tensor, which owns its memory.
    pub tensor: Tensor,
    /// What kind of memory; only the same kind is shared.
    pub kind: K,
    /// Its size.
    pub size: u64,
    /// Whether it may share memory.
    pub shares: bool,
    /// The first and the last node or dispatch that touches it.
    pub life: (usize, usize),
}

/// When each tensor that owns its memory is touched, in the order of the first time. `touched` gives the tensors of each node
/// or dispatch in turn, each with whether it is written: arguments first.
pub(crate) fn lifetimes(
    tensors: &[TensorInfo],
    touched: impl Iterator<Item = impl Iterator<Item = (Tensor, bool)>>,
) -> Vec<(Tensor, (usize, usize))> {
    let mut lives: BTreeMap<Tensor, (usize, usize)> = BTreeMap::new();
    for (at, touched) in touched.enumerate() {
        for (tensor, written) in touched {
            // What is read before anything writes it is given from outside, and kept for the next step.
            let born = if written { (at, at) } else { (0, usize::MAX) };
            let life = lives.entry(root(tensors, tensor).0).or_insert(born);
            life.1 = life.1.max(at);
        }
    }
    let mut lives: Vec<(Tensor, (usize, usize))> = lives.into_iter().collect();
    lives.sort_by_key(|&(tensor, (first, _))| (first, tensor));
    lives
}

/// The lifetimes of a graph's tensors, by its nodes.
pub(crate) fn of_graph(graph: &Graph) -> Vec<(Tensor, (usize, usize))> {
    let nodes = graph.nodes.iter();
    let touched = nodes.map(|node| node.x.iter().map(|&x| (x, false)).chain(node.y.iter().map(|&y| (y, true))));
    lifetimes(&graph.tensors, touched)
}

/// Gives each claim a place: the place of each, and the kind and size of all places. Of two orders it takes the one that needs
/// less: as they were born, or the largest first (Pisarchyk and Lee, 2020, arXiv:2001.03288).
pub(crate) fn share<K: Copy + PartialEq>(claims: &[Claim<K>]) -> (Vec<usize>, Vec<(K, u64)>) {
    let by_birth: Vec<usize> = (0..claims.len()).collect();
    let mut by_size = by_birth.clone();
    by_size.sort_by_key(|&n| std::cmp::Reverse(claims[n].size));
    let [by_birth, by_size] = [by_birth, by_size].map(|order| Places::new(claims, &order));
    let places = if by_size.bytes() < by_birth.bytes() { by_size } else { by_birth };
    (places.homes, places.places)
}

/// Places of memory and what lies in them.
struct Places<K> {
    /// The place of each claim.
    homes: Vec<usize>,
    /// The kind and size of each place.
    places: Vec<(K, u64)>,
}

impl<K: Copy + PartialEq> Places<K> {
    fn new(claims: &[Claim<K>], order: &[usize]) -> Self {
        let mut found = Places { homes: vec![0; claims.len()], places: Vec::new() };
        // The lives of what lies in each place, disjoint, by their beginnings.
        let mut taken: Vec<BTreeMap<usize, usize>> = Vec::new();
        for &n in order {
            let Claim { kind, size, shares, life: (first, last), .. } = claims[n];
            let is_free = |p: usize| taken[p].range(..=last).next_back().is_none_or(|(_, &end)| end < first);
            // The free place that fits with the least waste, or else the one that has to grow least.
            let free = (0..if shares { found.places.len() } else { 0 })
                .filter(|&p| found.places[p].0 == kind && is_free(p))
                .min_by_key(|&p| (found.places[p].1 < size, found.places[p].1.abs_diff(size)));
            let place = free.unwrap_or_else(|| {
                found.places.push((kind, 0));
                taken.push(BTreeMap::new());
                found.places.len() - 1
            });
            found.places[place].1 = found.places[place].1.max(size);
            let life = if shares { (first, last) } else { (0, usize::MAX) };
            taken[place].insert(life.0, life.1);
            found.homes[n] = place;
        }
        found
    }

    fn bytes(&self) -> u64 {
        self.places.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size))
    }
}

/// The memory of a graph's results within a step where they share it, in elements.
pub(crate) fn activations(graph: &Graph) -> u64 {
    let claims: Vec<Claim<()>> = of_graph(graph)
        .into_iter()
        .filter(|(tensor, _)| graph.info(*tensor).role == Role::Activation)
        .map(|(tensor, life)| {
            let size = graph.info(tensor).elements() as u64;
            Claim { tensor, kind: (), size, shares: true, life }
        })
        .collect();
    share(&claims).1.iter().map(|(_, size)| size).sum()
}
