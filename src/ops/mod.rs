//! The registry: one line per op, in its family. An op's file names its shaders, its arithmetic, its gradient and its
//! cases.

use crate::ir::case::Case;
use crate::ir::launch::Source;
use std::sync::LazyLock;

/// One line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The op's name, equal to the stem of its file.
    pub name: &'static str,
    /// Its shader files; a view has none.
    pub kernels: &'static [Source],
    /// Its test cases.
    pub cases: fn() -> Vec<Case>,
}

/// An op's shader files, each by the name of its kernel: what the op launches, and what the registry lists.
macro_rules! kernels {
    ($($name:ident = $path:literal),* $(,)?) => {
        $(pub(in crate::ops) const $name: $crate::ir::launch::Source = $crate::shader!($path);)*
        pub(in crate::ops) const KERNELS: &[$crate::ir::launch::Source] = &[$($name),*];
    };
}

/// The line of an op: of the file `add`, `entry!(add)`.
macro_rules! entry {
    ($op:ident) => {
        Entry { name: stringify!($op), kernels: $op::KERNELS, cases: $op::cases }
    };
}

pub mod attention;
pub mod batch;
pub mod conv;
mod exponential;
mod gradients;
pub mod loss;
pub mod matmul;
pub mod norm;
pub mod optim;
pub mod pointwise;
pub mod pool;
mod prelude;
pub mod sequence;
pub mod shape;
pub mod sums;
mod vectors;

/// The ops by family.
const FAMILIES: &[&[Entry]] = &[
    attention::OPS,
    batch::OPS,
    conv::OPS,
    loss::OPS,
    matmul::OPS,
    norm::OPS,
    optim::OPS,
    pointwise::OPS,
    pool::OPS,
    sequence::OPS,
    shape::OPS,
];

/// Every op.
pub static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| FAMILIES.concat());
