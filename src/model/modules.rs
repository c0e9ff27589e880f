//! The PyTorch modules whose weights a model's layers have: parameters by their real names.

use crate::error::{Error, Result};
use crate::model::{Model, ParamSpec};
use std::collections::HashMap;

/// The most bytes of the name of a module.
const LONGEST: usize = 200;

impl Model {
    /// Whether some layer has the name of its module.
    pub fn has_modules(&self) -> bool {
        self.layers.iter().any(|layer| layer.module.is_some())
    }

    /// The name that a parameter of this model has in PyTorch: that of the layer's module and its own; none if the layer has
    /// no module.
    pub fn real_name(&self, param: &str) -> Option<String> {
        let (index, own) = param.split_once('.')?;
        let module = self.layers.get(index.parse::<usize>().ok()?)?.module.as_ref()?;
        Some(format!("{module}.{own}"))
    }

    /// Whether the names of modules are sound, of layers with parameters, and each of one layer.
    pub(in crate::model) fn check_modules(&self) -> Result<()> {
        if !self.has_modules() {
            return Ok(());
        }
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (index, (layer, inferred)) in self.layers.iter().zip(self.infer()?).enumerate() {
            let Some(module) = layer.module.as_deref() else { continue };
            let shown = module.escape_debug();
            let wrong = |why: String| Err(self.error(layer.error(index, format!("found module = \"{shown}\", {why}"))));
            let odd = |c: char| c.is_control() || c.is_whitespace() || ['"', '\\'].contains(&c);
            if module.is_empty() || module.len() > LONGEST || module.contains(odd) {
                return wrong(format!("expected a name of 1 to {LONGEST} bytes without spaces, quotes and \\"));
            }
            if inferred.params.is_empty() {
                return wrong("expected it on a layer with weights".into());
            }
            if let Some(other) = known.insert(module, index) {
                return wrong(format!("which layer {other} has already: expected a module of its own"));
            }
        }
        Ok(())
    }
}

/// The sizes of a shape other than 1: weights of 1 × 1 convolutions and of dense layers have the same ones.
pub(in crate::model) fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|size| *size != 1).collect()
}

/// A parameter and the name that it has in PyTorch.
pub(in crate::model) fn named(model: &Model, params: Vec<ParamSpec>) -> Result<Vec<(ParamSpec, String)>> {
    let missing = |param: &ParamSpec| {
        let layer = param.name.split('.').next().unwrap_or_default();
        Error::input(format!(
            "model {}: layer {layer} has weights and no `module`, expected the name of its module as other layers have",
            model.name.escape_debug()
        ))
    };
    let one = |param: ParamSpec| {
        let real = model.real_name(&param.name).ok_or_else(|| missing(&param))?;
        Ok((param, real))
    };
    params.into_iter().map(one).collect()
}
