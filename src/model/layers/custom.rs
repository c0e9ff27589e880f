//! Layers of an application's own: whatever composes ops, in the model's list beside the others.

use crate::error::Result;
use crate::ir::graph::{Graph, Tensor};
use crate::model::layers::Inferred;
use std::fmt::Debug;
use std::sync::Arc;

/// What a layer of an application's own must say. `examples/custom_op.rs` has one.
pub trait CustomLayer: Debug + Send + Sync {
    /// What listings and messages call this type of layer.
    fn type_name(&self) -> &'static str;

    /// Sizes of its result, and its parameters, for one sample of the shape `input`: [H, W, C] or `[features]`; or a
    /// sentence that says why it does not fit. Parameters are named by `index`, the layer's place in the list, such
    /// as `3.weight`; one that is drawn at random says between how many values it stands ([`crate::model::ParamSpec`]).
    fn infer(&self, index: usize, input: &[usize]) -> Result<Inferred, String>;

    /// Adds its ops behind x, [batch, H, W, C] or [batch, features]; `params` are those of `infer`, in its order.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where an op does not fit its arguments.
    fn build(&self, graph: &mut Graph, x: Tensor, params: &[Tensor]) -> Result<Tensor>;
}

/// A layer of an application's own, shared. Two of them are equal where they are one.
#[derive(Clone, Debug)]
pub struct Custom(pub Arc<dyn CustomLayer>);

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custom {}
