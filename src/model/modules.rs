//! The PyTorch modules whose weights a model's layers have: parameters by their real names.

use crate::error::{Error, Result};
use crate::model::formats::weights::NamedTensor;
use crate::model::layers::{Scale, Tokens};
use crate::model::{Model, ParamSpec, Weights};
use crate::suggest;
use std::collections::HashMap;

/// The most bytes of the name of a module.
const LONGEST: usize = 200;

impl Model {
    /// Whether some layer has the name of its module.
    pub fn has_modules(&self) -> bool {
        self.layers.iter().any(|layer| layer.module.is_some())
    }

    /// The name that a parameter of this model has in PyTorch: that of the layer's module and its own, or of a scale and of
    /// the positions of an image, which are no modules there, the layer's alone; none if the layer has no module.
    pub fn real_name(&self, param: &str) -> Option<String> {
        let (index, own) = param.split_once('.')?;
        let layer = self.layers.get(index.parse::<usize>().ok()?)?;
        let module = layer.module.as_ref()?;
        let is_param = layer.is::<Scale>() || (layer.is::<Tokens>() && own == "positions");
        Some(if is_param { module.clone() } else { format!("{module}.{own}") })
    }

    /// The weights as the modules of PyTorch have them: under their real names, and in their shapes.
    ///
    /// # Errors
    /// [`Error::Input`] for weights of another model, and a model with a layer that has weights and no module.
    pub fn state_dict(&self, weights: &Weights) -> Result<Weights> {
        weights.check_against(self)?;
        let inferred = self.infer()?;
        // Vision transformers of timm and of torchvision have names of their own, which that of their positions tells apart.
        let positions = self.layers.iter().find(|layer| layer.is::<Tokens>()).and_then(|layer| layer.module.as_deref());
        let style = ["pos_embed", "encoder.pos_embedding"].iter().position(|name| positions == Some(*name));
        let one = |(param, real): (ParamSpec, String)| {
            let missing = || Error::failed(format!("found no {}", param.name));
            let tensor = weights.get(&param.name).ok_or_else(missing)?;
            let at = param.name.split('.').next().and_then(|at| at.parse::<usize>().ok()).unwrap_or_default();
            let (layer, mut shape) = (&self.layers[at], tensor.shape.clone());
            if layer.is::<Scale>() && inferred[at].shape.len() == 3 {
                shape.extend([1, 1]);
            }
            if layer.is::<Tokens>() {
                shape.insert(0, 1);
            }
            let name = style.and_then(|style| elsewhere(&real).into_iter().nth(style)).unwrap_or(real);
            Ok(NamedTensor { name, shape, values: tensor.values.clone() })
        };
        let params = named(self, self.params()?)?;
        Ok(Weights::new(params.into_iter().map(one).collect::<Result<_>>()?))
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

/// Names of parts in nets that do not call them as PyTorch's own layers do: what stands in a real name, and what stands there in a
/// vision transformer of timm, and in one of torchvision.
const ELSEWHERE: &[(&str, [&str; 2])] = &[
    (".self_attn.in_proj_", [".attn.qkv.", ".self_attention.in_proj_"]),
    (".self_attn.out_proj.", [".attn.proj.", ".self_attention.out_proj."]),
    (".linear1.", [".mlp.fc1.", ".mlp.0."]),
    (".linear2.", [".mlp.fc2.", ".mlp.3."]),
    (".norm1.", [".norm1.", ".ln_1."]),
    (".norm2.", [".norm2.", ".ln_2."]),
];

/// The other names that a parameter of this real name may have in a file.
pub(in crate::model) fn elsewhere(real: &str) -> Vec<String> {
    // A class token belongs to the net as a whole.
    if real.ends_with(".class_token") {
        return ["cls_token", "class_token"].map(String::from).into();
    }
    let other = |(part, others): &(&str, [&str; 2])| {
        let (stem, own) = real.rsplit_once(part)?;
        Some(others.map(|other| format!("{stem}{other}{own}")).into())
    };
    ELSEWHERE.iter().find_map(other).unwrap_or_default()
}

/// What begins a list of layers that are not meant.
const ALL_BUT: &str = "all but ";

/// The name of the last layer with weights.
const HEAD: &str = "head";

impl Model {
    /// Layers and parameters as the weight file names them, `0` or `0.bias`, from names that users give: these, names of modules
    /// and what they begin with (`layer1`), `head` for the last layer with weights, and `all but head`, in which several names
    /// are divided by spaces.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no module begins with, in a model whose layers have modules.
    pub fn parameters_of(&self, names: &[String]) -> Result<Vec<String>> {
        let inferred = self.infer()?;
        let with_weights: Vec<usize> = (0..inferred.len()).filter(|at| !inferred[*at].params.is_empty()).collect();
        let mut found = Vec::new();
        for name in names {
            match name.strip_prefix(ALL_BUT) {
                None => found.extend(self.parameters_of_one(name, &with_weights)?),
                Some(others) => {
                    let mut kept = Vec::new();
                    for other in others.split_whitespace().filter(|other| *other != "and") {
                        kept.extend(self.parameters_of_one(other, &with_weights)?);
                    }
                    found.extend(with_weights.iter().map(usize::to_string).filter(|layer| !kept.contains(layer)));
                }
            }
        }
        Ok(found)
    }

    fn parameters_of_one(&self, name: &str, with_weights: &[usize]) -> Result<Vec<String>> {
        let begins =
            |module: &str| module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let is_of = |at: &&usize| self.layers[**at].module.as_deref().is_some_and(begins);
        let found: Vec<String> = with_weights.iter().filter(is_of).map(usize::to_string).collect();
        match with_weights.last() {
            _ if !found.is_empty() => Ok(found),
            Some(head) if name == HEAD => Ok(vec![head.to_string()]),
            _ if !self.has_modules() || name.starts_with(|c: char| c.is_ascii_digit()) => Ok(vec![name.into()]),
            _ => {
                let modules = self.layers.iter().filter_map(|layer| layer.module.as_deref());
                let mut known: Vec<&str> = modules.map(|module| module.split('.').next().unwrap_or(module)).collect();
                known.dedup();
                Err(Error::input(suggest::unknown(
                    "module",
                    name,
                    &known,
                    ", what they begin with, or a layer's number",
                )))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_by_module_by_number_and_as_all_others() {
        let model = Model::preset("resnet9", [32, 32, 3], 10).unwrap();
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            model.parameters_of(&names)
        };
        let head = of(&["head"]).unwrap();
        assert_eq!(of(&["linear"]).unwrap(), head);
        assert_eq!(of(&["0", "1.bias"]).unwrap(), ["0", "1.bias"]);
        assert_eq!(of(&["prep_conv", "prep_bn"]).unwrap(), ["0", "1"]);
        let but = of(&["all but head and prep_conv"]).unwrap();
        assert_eq!(but.len(), 15, "{but:?}");
        assert!(but.contains(&"1".into()) && !but.contains(&"0".into()) && !but.contains(&head[0]));
        let error = of(&["perp_conv"]).unwrap_err().to_string();
        assert!(error.contains("did you mean 'prep_conv'?"), "{error}");
        let deep = Model::preset("resnet18", [32, 32, 3], 10).unwrap();
        assert_eq!(deep.parameters_of(&["layer1.0".into()]).unwrap().len(), 4);
        assert_eq!(deep.parameters_of(&["layer4".into()]).unwrap().len(), 10);
    }

    #[test]
    fn a_module_belongs_to_one_layer_with_weights() {
        let net = |first: &str, second: &str| {
            let net = crate::model::Sequential::new([4, 4, 1]).conv2d(2, 3).module(first).relu().flatten();
            net.dense(2).module(second).build().map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(net("conv", "fc"), Ok(()));
        assert!(net("conv", "conv").unwrap_err().contains("which layer 0 has already"));
        assert!(net("a b", "fc").unwrap_err().contains("without spaces"));
    }
}
