//! Low-rank adapters (Hu and others, 2021): a product W·x becomes W·x + B·A·x, of which A and B alone are trained.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Node, Param, Phase, Shape, Tensor, TensorInfo};
use crate::model::layers::params::{ParamSpec, Spread};
use crate::model::layers::{Dense, Transformer};
use crate::model::{Model, Task};
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::pointwise::add::Add;
use crate::suggest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The adapters of a model. Their products are not scaled: PEFT's `lora_alpha` is the rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// The weights that have one, by their names in the weight file.
    pub on: Vec<String>,
}

/// The weights of a block that may have one, and that of a dense layer.
const OF_BLOCKS: [&str; 4] =
    ["self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"];
const OF_DENSE: &str = "weight";

impl Lora {
    /// The names of an adapter's two weights.
    pub fn names(weight: &str) -> [String; 2] {
        ["lora_A", "lora_B"].map(|which| format!("{weight}.{which}"))
    }

    /// The weights of the adapters of these parameters: A [rank, inputs] as PyTorch draws a `Linear`'s, B [outputs, rank] of zeros.
    pub(super) fn params(&self, params: &[ParamSpec]) -> Vec<ParamSpec> {
        let adapted = params.iter().filter(|param| self.on.contains(&param.name));
        let both = |param: &ParamSpec| {
            let (outputs, inputs) = (param.file_shape[0], param.file_shape[1]);
            let [a, b] = Lora::names(&param.name);
            let spread = Spread::Uniform(1.0 / (inputs as f64).sqrt());
            let first = ParamSpec::drawn(vec![self.rank, inputs], [inputs, self.rank]).spread(a, spread);
            let second = ParamSpec::drawn(vec![outputs, self.rank], [self.rank, outputs]);
            [first, ParamSpec { name: b, starts_at: Some(0.0), ..second }]
        };
        adapted.flat_map(both).collect()
    }

    /// Adds what adapters give to the products of their weights.
    pub(super) fn adapt(&self, graph: &mut Graph, params: &[ParamSpec]) -> Result<()> {
        for weight in &self.on {
            let of = |graph: &Graph, name: &str| graph.params.iter().find(|param| param.name == name).map(|p| p.tensor);
            let missing = || Error::failed(format!("found no weight {weight}, expected it"));
            let base = of(graph, weight).ok_or_else(missing)?;
            let [a, b] = Lora::names(weight);
            let mut add = |name: &String| -> Result<Tensor> {
                let spec = params.iter().find(|spec| spec.name == *name).ok_or_else(missing)?;
                Ok(graph.param(spec.name.clone(), Shape(spec.file_shape.clone()), spec.layout()))
            };
            let [a, b] = [add(&a)?, add(&b)?];
            let mut at = 0;
            while at < graph.nodes.len() {
                let node = &graph.nodes[at];
                let is_product = (&*node.op as &dyn std::any::Any).is::<MatmulNt>() && node.x.get(1) == Some(&base);
                at += 1;
                if is_product {
                    at += follow(graph, at, [a, b])?;
                }
            }
        }
        Ok(())
    }
}

/// Adds B·A·x to the product before place `at`; returns how many nodes that takes.
fn follow(graph: &mut Graph, at: usize, [a, b]: [Tensor; 2]) -> Result<usize> {
    let (x, y) = (graph.nodes[at - 1].x[0], graph.nodes[at - 1].y[0]);
    let plain = graph.tensor(TensorInfo { name: "unadapted".into(), ..graph.info(y).clone() });
    graph.nodes[at - 1].y = vec![plain];
    let before = graph.nodes.len();
    let low = graph.apply(MatmulNt::default(), &[x, a])?[0];
    let more = graph.apply(MatmulNt::default(), &[low, b])?[0];
    let mut added: Vec<Node> = graph.nodes.drain(before..).collect();
    added.push(Node { op: Arc::new(Add), x: vec![plain, more], y: vec![y], phase: Phase::Compute });
    let count = added.len();
    graph.nodes.splice(at..at, added);
    Ok(count)
}

impl Model {
    /// The same model with adapters of this rank on the weights that one of these names fits: a layer's, such as `3`; a weight's, or the
    /// beginning of one up to a dot, such as `self_attn` or `linear1`, with or without its layer. Without names: what makes queries,
    /// keys and values in each block, or in a model without blocks the weights of all dense layers.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that has adapters already, or translates, names that fit nothing, and a rank that is not below the
    /// sizes of a weight.
    pub fn with_lora(self, rank: usize, names: &[String]) -> Result<Model> {
        let wrong = |why: String| Error::input(format!("lora: {why}"));
        if self.lora.is_some() {
            return Err(wrong(
                "the model has adapters already: wgrad export --merge-lora makes them part of its weights".into(),
            ));
        }
        if self.translates() {
            return Err(wrong(
                "the model translates; expected one that continues texts, or tells classes or numbers".into(),
            ));
        }
        let known = self.adaptable()?;
        let has_blocks = self.layers.iter().any(|layer| layer.is::<Transformer>());
        let names = match (names, has_blocks) {
            ([], true) => &[OF_BLOCKS[0].to_owned()][..],
            ([], false) => &[OF_DENSE.to_owned()],
            (names, _) => names,
        };
        let within = |name: &str, part: &str| {
            name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let fits = |weight: &str, name: &str| {
            within(weight, name) || weight.split_once('.').is_some_and(|(_, local)| within(local, name))
        };
        if let Some(name) = names.iter().find(|name| !known.iter().any(|weight| fits(weight, name))) {
            let mut local: Vec<&str> = known.iter().filter_map(|weight| Some(weight.split_once('.')?.1)).collect();
            local.sort_unstable();
            local.dedup();
            return Err(Error::input(format!("lora-on: {}", suggest::unknown("weight", name, &local, ""))));
        }
        let on = known.into_iter().filter(|weight| names.iter().any(|name| fits(weight, name))).collect();
        let model = Model { lora: Some(Lora { rank, on }), ..self };
        model.check()?;
        Ok(model)
    }

    /// The weights that may have adapters.
    fn adaptable(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (index, (layer, inferred)) in self.layers.iter().zip(self.infer()?).enumerate() {
            let names: &[&str] = match () {
                () if layer.is::<Transformer>() => &OF_BLOCKS,
                () if layer.is::<Dense>() && layer.tied.is_none() => &[OF_DENSE],
                () => &[],
            };
            let own = |param: ParamSpec| {
                let local = param.name.strip_prefix(&format!("{index}."))?;
                names.contains(&local).then(|| param.name.clone())
            };
            found.extend(inferred.params.into_iter().filter_map(own));
        }
        Ok(found)
    }

    /// Whether its adapters are on weights that it has, of more rows and columns than their rank.
    pub(super) fn check_lora(&self) -> Result<()> {
        let Some(Lora { rank, on }) = &self.lora else { return Ok(()) };
        let wrong = |why: String| Err(self.says(format!("lora: {why}")));
        let known = self.adaptable()?;
        if let Some(weight) = on.iter().find(|weight| !known.contains(weight)) {
            return wrong(format!(
                "found an adapter of {}, expected weights of dense layers and blocks",
                weight.escape_debug()
            ));
        }
        if on.is_empty() || on.iter().enumerate().any(|(at, weight)| on[..at].contains(weight)) || self.translates() {
            return wrong(format!("found adapters on {on:?}, expected each once, in a model that does not translate"));
        }
        let params: Vec<ParamSpec> = self.infer()?.into_iter().flat_map(|layer| layer.params).collect();
        let least = |param: &ParamSpec| param.file_shape.iter().copied().min().unwrap_or(0);
        let adapted = params.iter().filter(|param| on.contains(&param.name));
        match adapted.min_by_key(|param| least(param)) {
            Some(param) if *rank == 0 || *rank > least(param) => wrong(format!(
                "found rank {rank}, expected 1 to {} for {} of shape {:?}",
                least(param),
                param.name,
                param.file_shape
            )),
            _ => Ok(()),
        }
    }

    /// Freezes everything but its adapters, if it has some, and but the last dense layer of a model that does not continue texts,
    /// which data with other classes replaces.
    pub(crate) fn freeze_adapted(&self, graph: &mut Graph) {
        if self.lora.is_none() {
            return;
        }
        let head = self.layers.iter().rposition(|layer| layer.is::<Dense>()).filter(|_| self.task != Task::Next);
        let head = head.map(|at| format!("{at}."));
        let is_trained = |param: &Param| {
            let is_adapter = [".lora_A", ".lora_B"].iter().any(|end| param.name.ends_with(end));
            is_adapter || head.as_ref().is_some_and(|head| param.name.starts_with(head))
        };
        graph.params.iter_mut().filter(|param| !is_trained(param)).for_each(|param| param.frozen = true);
    }
}
