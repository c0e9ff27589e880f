//! The computation as pure data: tensors, ops and their graph, and the cases that compare an op with its reference.

pub mod case;
pub mod element;
pub mod freeze;
pub mod graph;
pub mod launch;
pub mod op;
pub mod values;
