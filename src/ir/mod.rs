//! What is computed, as pure data: tensors, ops and their graph, and the cases that hold an op to its reference.

pub mod case;
pub mod element;
pub mod freeze;
pub mod graph;
pub mod launch;
pub mod op;
pub mod values;
