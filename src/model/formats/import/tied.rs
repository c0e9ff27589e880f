//! Weights of models with tied layers: a file has the weight of both, which must be one.

use super::Imported;
use crate::error::Result;
use crate::model::Model;

/// The model whose layers all have weights of their own; none if they do already.
pub(super) fn apart(model: &Model) -> Option<Model> {
    model.layers.iter().any(|layer| layer.tied.is_some()).then(|| {
        let mut apart = model.clone();
        apart.layers.iter_mut().for_each(|layer| layer.tied = None);
        apart
    })
}

/// What was imported without the weights of tied layers.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) where the weight of one is not that of the embedding.
pub(super) fn joined(imported: Imported, model: &Model) -> Result<Imported> {
    Ok(Imported { weights: imported.weights.joined(model)?, ..imported })
}
