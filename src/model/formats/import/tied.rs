//! Weights of models with tied layers: a file has the weight of both, which must be one.

use super::Imported;
use crate::error::{Error, Result};
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
/// [`Error::Input`] where the weight of one is not that of the embedding.
pub(super) fn joined(mut imported: Imported, model: &Model) -> Result<Imported> {
    for (index, layer) in model.layers.iter().enumerate() {
        let Some(tied) = layer.tied else { continue };
        let [own, other] = [index, tied].map(|place| format!("{place}.weight"));
        let values = |name: &str| imported.weights.get(name).map(|tensor| &tensor.values);
        if values(&own) != values(&other) {
            let kind = layer.type_name();
            return Err(Error::input(format!(
                "layer {index} ({kind}): found another weight than that of layer {tied}, expected the same one, to which it is tied"
            )));
        }
        imported.weights.tensors.retain(|tensor| tensor.name != own);
    }
    Ok(imported)
}
