//! Test cases of ops: arguments with their values, made awkward on purpose.

use crate::error::Result;
use crate::ir::graph::{DType, Graph, Role, Shape, Tensor, TensorInfo};
use crate::ir::op::Op;
use crate::ir::values::Values;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;

/// One op at one shape with its values.
#[derive(Clone, Debug)]
pub struct Case {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The arguments.
    pub x: Vec<(TensorInfo, Values)>,
    /// The contents before the op of the tensors that it updates in place; empty where its results are new.
    pub y: Vec<(TensorInfo, Values)>,
    seed: u64,
}

impl Case {
    /// A case without arguments yet.
    pub fn new(op: impl Op) -> Self {
        Case { op: Arc::new(op), x: Vec::new(), y: Vec::new(), seed: 1 }
    }

    /// Draws the values that follow from another seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed * 1000 + self.x.len() as u64)
    }

    /// An argument of given floats.
    pub fn floats(mut self, shape: impl Into<Shape>, values: Vec<f32>) -> Self {
        self.x.push((TensorInfo::floats("x", shape), Values::Float(values)));
        self
    }

    /// An argument of floats evenly spread over (-1, 1).
    pub fn random(self, shape: impl Into<Shape>) -> Self {
        let (shape, mut rng) = (shape.into(), self.rng());
        let values = (0..shape.elements()).map(|_| unit(&mut rng)).collect();
        self.floats(shape, values)
    }

    /// An argument of small integers in floats: sums of their products are exact, so that ties are too.
    pub fn integers(self, shape: impl Into<Shape>, most: i32) -> Self {
        let (shape, mut rng) = (shape.into(), self.rng());
        let span = (2 * most + 1) as u32;
        let values = (0..shape.elements()).map(|_| (rng.next_u32() % span) as f32 - most as f32).collect();
        self.floats(shape, values)
    }

    /// An argument of words below `bound`.
    pub fn below(self, shape: impl Into<Shape>, bound: u32) -> Self {
        let (shape, mut rng) = (shape.into(), self.rng());
        let values = (0..shape.elements()).map(|_| rng.next_u32() % bound).collect();
        self.words(shape, values)
    }

    /// An argument of given words.
    pub fn words(mut self, shape: impl Into<Shape>, values: Vec<u32>) -> Self {
        self.x.push((TensorInfo::words("x", shape), Values::Word(values)));
        self
    }

    /// An argument of random bytes of the data set.
    pub fn bytes(mut self, shape: impl Into<Shape>) -> Self {
        let (shape, mut rng) = (shape.into(), self.rng());
        let values = (0..shape.elements()).map(|_| rng.next_u32() as u8).collect();
        self.x.push((TensorInfo::bytes("x", shape), Values::Byte(values)));
        self
    }

    /// An argument of given bytes of the data set; zeros take the place of those that are not given.
    pub fn stored(mut self, shape: impl Into<Shape>, bytes: impl IntoIterator<Item = u8>) -> Self {
        let info = TensorInfo::bytes("x", shape);
        let mut values: Vec<u8> = bytes.into_iter().collect();
        values.resize(info.elements(), 0);
        self.x.push((info, Values::Byte(values)));
        self
    }

    /// Makes the last argument one that the op updates in place.
    pub fn in_place(mut self) -> Self {
        if let Some((info, values)) = self.x.pop() {
            self.y.push((info.role(Role::State), values));
        }
        self
    }

    /// The graph of this op alone, its arguments and its results.
    pub fn graph(&self) -> Result<(Graph, Vec<Tensor>, Vec<Tensor>)> {
        let mut graph = Graph::new();
        let mut add = |(info, _): &(TensorInfo, Values)| graph.tensor(info.clone());
        let x: Vec<Tensor> = self.x.iter().map(&mut add).collect();
        let mut y: Vec<Tensor> = self.y.iter().map(&mut add).collect();
        match y.is_empty() {
            true => y = graph.apply_arc(self.op.clone(), &x)?,
            false => graph.update_arc(self.op.clone(), &x, &y)?,
        }
        Ok((graph, x, y))
    }

    /// The content of a device's memory before the op: the given contents, or a sentinel that an op which
    /// leaves an element out is caught by.
    pub fn before(&self, graph: &Graph, y: &[Tensor]) -> Vec<Values> {
        if !self.y.is_empty() {
            return self.y.iter().map(|(_, values)| values.clone()).collect();
        }
        y.iter()
            .map(|&y| match graph.info(y).dtype {
                DType::F32 => Values::Float(vec![-7.5e8; graph.info(y).elements()]),
                _ => Values::Word(vec![0xDEAD_BEEF; graph.info(y).elements()]),
            })
            .collect()
    }

    /// The shapes of the arguments, for listings.
    pub fn label(&self) -> String {
        let shapes: Vec<String> = self.x.iter().map(|(info, _)| info.shape.to_string()).collect();
        format!("{:?} {}", self.op, shapes.join(" "))
    }
}

/// A float evenly spread over (-1, 1), never zero, of 23 bits.
pub fn unit(rng: &mut impl Rng) -> f32 {
    ((rng.next_u32() >> 9) as f32 + 0.5) / (1 << 22) as f32 - 1.0
}

/// Of each group, the ways to run one shape, all of the first two and one, in turn, of the rest: each shape and each way is
/// among them, and a software adapter compiles each case by itself.
pub fn in_turn<const N: usize>(groups: impl Iterator<Item = [Case; N]>) -> Vec<Case> {
    let picked = |(n, group): (usize, [Case; N])| {
        group.into_iter().enumerate().filter(move |(way, _)| n < 2 || n % N == *way).map(|(_, case)| case)
    };
    groups.enumerate().flat_map(picked).collect()
}
