//! Weight files of models with tied layers: PyTorch's have the weight twice.

use crate::error::{Error, Result};
use crate::model::{Model, Weights};

impl Weights {
    /// The same weights without those of the model's tied layers, each of which must be that of its embedding.
    ///
    /// # Errors
    /// [`Error::Input`] where one is another.
    pub fn joined(mut self, model: &Model) -> Result<Weights> {
        for (index, layer) in model.layers.iter().enumerate() {
            let Some(tied) = layer.tied else { continue };
            let [own, other] = [index, tied].map(|place| format!("{place}.weight"));
            let Some(found) = self.get(&own) else { continue };
            if self.get(&other).is_none_or(|expected| expected.values != found.values) {
                let kind = layer.type_name();
                return Err(Error::input(format!(
                    "layer {index} ({kind}): found another weight than that of layer {tied}, expected the same one, to which \
                     it is tied"
                )));
            }
            self.tensors.retain(|tensor| tensor.name != own);
        }
        Ok(self)
    }
}
