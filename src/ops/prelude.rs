//! Imports of every op file.

pub use crate::error::Error;
pub use crate::ir::case::{Case, in_turn};
pub use crate::ir::graph::{Graph, Shape, Tensor, TensorInfo};
pub use crate::ir::launch::{KernelClass, Launch, Lower, Source};
pub use crate::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding, run_on_magnitudes};
pub use crate::ops::matmul::tiles::{LANES, LanesTile, Tile, unroll};
pub use crate::ops::sums;
pub use rayon::prelude::*;
pub use std::sync::Arc;

/// Exactly `N` arguments, or a sentence that says how many there were.
pub fn arguments<'a, const N: usize>(x: &[&'a TensorInfo]) -> Result<[&'a TensorInfo; N], String> {
    x.try_into().map_err(|_| format!("{} arguments where {N} are expected", x.len()))
}

/// The sizes of a tensor of exactly `N` axes, none of them zero.
pub fn axes<const N: usize>(info: &TensorInfo) -> Result<[usize; N], String> {
    let sizes: [usize; N] = (info.shape.0.as_slice().try_into())
        .map_err(|_| format!("{} has {} axes where {N} are expected", info.name, info.shape.0.len()))?;
    match sizes.contains(&0) {
        true => Err(format!("{} has an axis of size 0", info.name)),
        false => Ok(sizes),
    }
}

/// The sizes of a tensor whose leading axes are rows: their product, and the last axis.
pub fn as_rows(shape: &[usize]) -> [usize; 2] {
    let (last, leading) = shape.split_last().unwrap_or((&1, &[]));
    [leading.iter().product(), *last]
}

/// `as_rows` of an argument, which must have an axis and no empty one.
pub fn rows(info: &TensorInfo) -> Result<[usize; 2], String> {
    match info.shape.0.is_empty() || info.shape.0.contains(&0) {
        true => Err(format!("{} is {}, expected one axis or more, none of size 0", info.name, info.shape)),
        false => Ok(as_rows(&info.shape.0)),
    }
}

/// A tensor's shape with another last axis.
pub fn with_last(info: &TensorInfo, last: usize) -> Shape {
    let leading = info.shape.0.split_last().map_or(&[][..], |(_, leading)| leading);
    Shape([leading, &[last]].concat())
}

/// The geometry of an op that runs. [`Op::outputs`] derived it from the same shapes when the graph was built, and an op
/// whose shapes do not fit is in no graph.
pub fn checked<T>(geometry: Result<T, String>) -> T {
    geometry.unwrap_or_else(|why| unreachable!("an op runs with the shapes that its graph was built with: {why}"))
}

/// The results of an op that runs: as many as [`Op::outputs`] declares.
pub fn results<'a, 'b, F, const N: usize>(y: &'a mut [Out<'b, F>]) -> &'a mut [Out<'b, F>; N] {
    let found = y.len();
    y.try_into().unwrap_or_else(|_| unreachable!("{found} results of an op that declares {N}"))
}

/// The answer of an op that is itself a gradient.
pub fn no_second_order(op: &dyn Op) -> crate::Result<Vec<Option<Tensor>>> {
    Err(Error::input(format!("{}: gradients of gradients are not supported", op.name())))
}
