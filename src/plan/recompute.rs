//! Recomputed activations (Chen, Xu, Zhang and Guestrin, 2016, arXiv:1604.06174): the forward pass is cut into stages, of
//! which only what later stages read is kept; the backward pass computes the rest again, stage by stage. The same ops on the
//! same arguments give the same bytes.

use crate::error::Result;
use crate::ir::graph::{Graph, Node, Phase, Role, Tensor, root};
use crate::plan::lifetime::activations;
use std::collections::BTreeMap;

/// How many sizes of a stage are tried: from a half of all results down to a 64th.
const SIZES: u32 = 11;

/// Rewrites a graph of which the first `forward` tensors were there before its gradients were added, with stages of the size
/// that leaves the least memory. Where no size saves any it stays as it is.
///
/// # Errors
/// None that a graph with gradients has.
pub fn recompute(graph: &mut Graph, forward: usize) -> Result<()> {
    let forward = Forward::of(graph, forward);
    let (mut best, mut least) = (None, activations(graph));
    for size in 1..=SIZES {
        let stages = forward.stages((forward.elements() as f64 / 2f64.powf(f64::from(size) / 2.0 + 0.5)) as u64);
        let rewritten = forward.rewrite(graph, &stages)?;
        let memory = activations(&rewritten);
        if memory < least {
            (best, least) = (Some(rewritten), memory);
        }
    }
    if let Some(best) = best {
        *graph = best;
    }
    Ok(())
}

/// The forward pass of a graph.
struct Forward {
    /// How many nodes it has.
    nodes: usize,
    /// The elements that each of them makes.
    made: Vec<u64>,
    /// The elements made before each of them that it or a later one reads.
    crossing: Vec<u64>,
    /// The node that makes the memory of each tensor, and the last that reads it.
    life: BTreeMap<Tensor, (usize, usize)>,
}

impl Forward {
    fn of(graph: &Graph, tensors: usize) -> Forward {
        let is_forward = |node: &Node| node.phase == Phase::Compute && node.y.iter().all(|y| y.index() < tensors);
        let nodes = graph.nodes.iter().position(|node| !is_forward(node)).unwrap_or(graph.nodes.len());
        let mut life: BTreeMap<Tensor, (usize, usize)> = BTreeMap::new();
        for (n, node) in graph.nodes[..nodes].iter().enumerate() {
            for &x in &node.x {
                life.entry(graph.root(x).0).and_modify(|life| life.1 = n);
            }
            for &y in node.y.iter().filter(|y| graph.info(**y).view.is_none()) {
                life.insert(y, (n, n));
            }
        }
        let (mut made, mut crossing) = (vec![0; nodes], vec![0; nodes + 1]);
        for (tensor, &(first, last)) in &life {
            let elements = graph.info(*tensor).elements() as u64;
            made[first] += elements;
            crossing[first + 1..=last].iter_mut().for_each(|sum| *sum += elements);
        }
        Forward { nodes, made, crossing, life }
    }

    /// The elements of all its results.
    fn elements(&self) -> u64 {
        self.made.iter().sum()
    }

    /// The stage of each node, where no stage makes more than about `size` elements.
    fn stages(&self, size: u64) -> Vec<usize> {
        let (mut stages, mut begin, mut stage) = (vec![0; self.nodes], 0, 0);
        while begin < self.nodes {
            let mut inside = 0;
            let fit = self.made[begin..].iter().take_while(|&&made| {
                inside += made;
                inside <= size
            });
            let end = begin + fit.count().max(1);
            let cut = if end < self.nodes { self.cheapest(begin, end) } else { self.nodes };
            stages[begin..cut].fill(stage);
            (begin, stage) = (cut, stage + 1);
        }
        stages
    }

    /// Where to end a stage, at `end` at the latest, so that what crosses is least beside what the stage makes.
    fn cheapest(&self, begin: usize, end: usize) -> usize {
        let (mut made, mut cheapest, mut least) = (0, end, f64::INFINITY);
        for cut in begin + 1..=end {
            made += self.made[cut - 1];
            let share = self.crossing[cut] as f64 / made as f64;
            if share <= least {
                (cheapest, least) = (cut, share);
            }
        }
        cheapest
    }

    /// Whether a tensor's memory stays until the backward pass: of the last stage, or read by a later one.
    fn is_kept(&self, owner: Tensor, stages: &[usize]) -> bool {
        let Some(&(first, last)) = self.life.get(&owner) else { return true };
        stages[first] != stages[last] || Some(&stages[first]) == stages.last()
    }

    /// The graph whose backward pass computes again what is not kept, where it is first read.
    fn rewrite(&self, graph: &Graph, stages: &[usize]) -> Result<Graph> {
        let mut rewritten = graph.clone();
        let nodes = rewritten.nodes.split_off(self.nodes);
        let makers: BTreeMap<Tensor, usize> = graph.nodes[..self.nodes]
            .iter()
            .enumerate()
            .flat_map(|(n, node)| node.y.iter().map(move |&y| (y, n)))
            .collect();
        let mut copies: BTreeMap<Tensor, Tensor> = BTreeMap::new();
        for mut node in nodes {
            if node.phase == Phase::Compute {
                for x in &mut node.x {
                    // A list and no recursion: a stage may have thousands of ops in a row.
                    let mut open = vec![*x];
                    while let Some(&t) = open.last() {
                        let again = |t: Tensor| {
                            let owner = root(&graph.tensors, t).0;
                            let made = makers.contains_key(&t) && graph.info(owner).role == Role::Activation;
                            made && !self.is_kept(owner, stages) && !copies.contains_key(&t)
                        };
                        if !again(t) {
                            open.pop();
                            continue;
                        }
                        let maker = &graph.nodes[makers[&t]];
                        let before = open.len();
                        open.extend(maker.x.iter().copied().filter(|&x| again(x)));
                        if open.len() == before {
                            let args: Vec<Tensor> = maker.x.iter().map(|x| *copies.get(x).unwrap_or(x)).collect();
                            let made = rewritten.apply_arc(maker.op.clone(), &args)?;
                            copies.extend(maker.y.iter().copied().zip(made));
                        }
                    }
                    *x = *copies.get(x).unwrap_or(x);
                }
            }
            rewritten.nodes.push(node);
        }
        Ok(rewritten)
    }
}
