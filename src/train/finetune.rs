//! Where a run starts: a model's own initial weights, those of a file, or a trained model with a head for other
//! classes.

use crate::counted::grouped;
use crate::data::Dataset;
use crate::data::schema::TEXT;
use crate::error::{Error, Result, in_context};
use crate::model::formats::weights::NamedTensor;
use crate::model::init::{InitMethod, first_of, glorot_uniform};
use crate::model::layers::keys::Value;
use crate::model::layers::{Dense, Transformer};
use crate::model::lora::Lora;
use crate::model::{LayerEntry, Model, Task, Weights};
use crate::train::predict::TrainedModel;
use crate::train::run::RunConfig;
use std::collections::HashSet;
use std::fmt;

/// The last layer with weights, replaced for another number of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHead {
    /// Its place in the list of layers.
    pub layer: usize,
    /// Its type.
    pub kind: &'static str,
    /// The classes that it had.
    pub before: usize,
    /// The classes that it has.
    pub after: usize,
}

impl fmt::Display for NewHead {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let NewHead { layer, kind, before, after } = self;
        match before == after {
            true => write!(f, "layer {layer} ({kind}) is reinitialised: its {after} outputs stand for other classes"),
            false => write!(f, "layer {layer} ({kind}) is replaced: {after} outputs, before {before}"),
        }
    }
}

impl TrainedModel {
    /// The same model and weights for the classes, answers or targets of these `names`. Where it has another number of them, or others,
    /// its last layer, dense or a convolution, is replaced, with Glorot-uniform initial weights from `seed`; all other layers keep their
    /// weights. Names that are numbers may stand for any.
    ///
    /// # Errors
    /// [`Error::Input`] if the number changes and the classes do not come out of such a layer.
    pub fn with_classes(self, names: &[String], seed: u64) -> Result<(TrainedModel, Option<NewHead>)> {
        let (before, classes) = (self.model.classes()?, names.len());
        let is_named = |(at, name): (usize, &String)| *name != at.to_string();
        let named = |names: &[String]| !names.is_empty() && names.iter().enumerate().any(is_named);
        let known = &self.model.class_names[..];
        let others = named(names) && named(known) && known != names;
        if before == classes && !others {
            return Ok((self, None));
        }
        let TrainedModel { mut model, mut weights } = self;
        let wrong =
            |why: &str| Error::input(format!("model {}: {why}, so it cannot be given {classes} classes", model.name));
        let layer = model.infer()?.iter().rposition(|layer| !layer.params.is_empty());
        let layer = layer.ok_or_else(|| wrong("it has no weights"))?;
        if model.layers[layer].is::<Transformer>()
            && matches!(model.infer()?.last().map(|last| &last.shape[..]), Some([_]))
        {
            return TrainedModel { model, weights }.with_head(names, seed).map(|(net, head)| (net, Some(head)));
        }
        // A dense layer, or a convolution that gives a class to each pixel.
        let with = |key: &str| model.layers[layer].with(key, Value::Size(classes));
        let Some(head) = with("units").or_else(|| with("filters")) else {
            let kind = model.layers[layer].type_name();
            return Err(wrong(&format!("its last layer with weights is {layer} ({kind})")));
        };
        model.layers[layer] = head;
        model.class_names.clear();
        let head = format!("{layer}.");
        let fresh = glorot_uniform(&model, seed)?;
        weights.tensors.retain(|tensor| !tensor.name.starts_with(&head));
        weights.tensors.extend(fresh.tensors.into_iter().filter(|tensor| tensor.name.starts_with(&head)));
        weights.check_against(&model)?;
        let kind = model.layers[layer].type_name();
        Ok((TrainedModel { model, weights }, Some(NewHead { layer, kind, before, after: classes })))
    }

    /// An encoder of texts with a dense layer after it that gives as many outputs as there are names.
    fn with_head(self, names: &[String], seed: u64) -> Result<(TrainedModel, NewHead)> {
        let TrainedModel { mut model, mut weights } = self;
        let (layer, before) = (model.layers.len(), model.classes()?);
        model.layers.push(LayerEntry::from(Dense::new(names.len())));
        model.class_names.clear();
        model.task = Task::Classify;
        let head = format!("{layer}.");
        let fresh = first_of(&model, InitMethod::default(), seed, |name| name.starts_with(&head))?;
        weights.tensors.extend(fresh.tensors);
        weights.check_against(&model)?;
        let kind = model.layers[layer].type_name();
        Ok((TrainedModel { model, weights }, NewHead { layer, kind, before, after: names.len() }))
    }
}

impl Model {
    /// A model that reads texts, for those of another length.
    fn of_length(mut self, data: &Dataset) -> Model {
        let found = data.train.schema().fields.iter().find(|field| field.name == TEXT).map(|field| field.elements());
        if let Some(length) = found.filter(|_| self.text.is_some()) {
            self.input = vec![length];
        }
        self
    }
}

/// The model with adapters, which begin as what changes nothing.
fn adapted(model: Model, mut weights: Weights, rank: usize, config: &RunConfig) -> Result<(Model, Weights)> {
    let model = model.with_lora(rank, &config.lora_on)?;
    let names: HashSet<String> =
        model.lora.iter().flat_map(|lora| &lora.on).flat_map(|weight| Lora::names(weight)).collect();
    let fresh = first_of(&model, InitMethod::default(), config.train.seed, |name| names.contains(name))?;
    weights.tensors.extend(fresh.tensors);
    weights.check_against(&model)?;
    Ok((model, weights))
}

/// The start of a run.
#[derive(Clone, Debug)]
pub struct First {
    /// The model, with the data's class names.
    pub model: Model,
    /// Its initial weights; `None` for a Glorot-uniform start from the run's seed.
    pub weights: Option<Weights>,
    /// A notice for the user, if any.
    pub notice: Option<String>,
}

impl First {
    /// The model of a configuration for a data set, and the weights that it names by `init` or `from`.
    ///
    /// # Errors
    /// [`Error::Input`] for both at once, files that cannot be read or do not fit, and a new head that is frozen.
    pub fn of(config: &RunConfig, data: &Dataset) -> Result<First> {
        for path in [&config.init, &config.from].into_iter().flatten() {
            if path.to_str().is_none() {
                let shown = path.display();
                return Err(Error::input(format!(
                    "{shown}: found a name that is not UTF-8, which config.toml cannot hold"
                )));
            }
        }
        let (mut model, weights, head) = match (&config.from, &config.init) {
            (Some(_), Some(_)) => return Err(Error::input("from and init: only one of the two is expected")),
            (Some(path), None) => {
                let mut known = Model::load(path)?;
                known.model = known.model.of_length(data);
                let place = path.display().to_string();
                let (new, head) =
                    known.with_classes(&data.class_names, config.train.seed).map_err(|e| in_context(&place, e))?;
                (new.model, Some(new.weights), head)
            }
            (None, init) => {
                let model = Model::for_data(&config.model, data)?;
                let weights = init.as_ref().map(|path| {
                    let shown = path.display().to_string();
                    let weights = Weights::load(path)?.1.joined(&model).map_err(|e| in_context(&shown, e))?;
                    weights.check_against(&model).map_err(|e| in_context(&shown, e))?;
                    Ok(weights)
                });
                (model, weights.transpose()?, None)
            }
        };
        if let (Some(wild), Some(path)) =
            (weights.as_ref().and_then(Weights::wild), config.init.as_ref().or(config.from.as_ref()))
        {
            return Err(Error::input(format!("{}: found {wild}, expected finite weights", path.display())));
        }
        if let Some(head) = &head {
            let own = head.layer.to_string();
            let frozen = model.parameters_of(&config.train.freeze)?;
            if frozen.iter().any(|name| name.split('.').next() == Some(&*own)) {
                return Err(Error::input(format!("freeze {own}: {head}, and what is new must be trained")));
            }
        }
        if let Some(normalise) = &config.normalise {
            if config.from.is_some() {
                let why = "the net of `from` normalises images as it was trained to; expected no other normalisation";
                return Err(Error::input(format!("normalise {normalise}: {why}")));
            }
            model.normalise = normalise.0.clone();
            model.infer()?;
        }
        // Of a text the tokens are the classes.
        let is_text = data.target.is_some() || data.train.schema().own_targets().is_some();
        model.class_names = if is_text { Vec::new() } else { data.class_names.clone() };
        let model = model.suited(data, config.train.loss)?;
        let model = if config.carry { model.carrying()? } else { model };
        let (model, weights, adapted) = match config.lora {
            None if !config.lora_on.is_empty() => {
                return Err(Error::input("lora-on: expected the rank of adapters with it, --lora RANK"));
            }
            None => (model, weights, None),
            Some(rank) => {
                let Some(weights) = weights else {
                    return Err(Error::input("lora: expected trained weights with it, --from FILE or --init FILE"));
                };
                let (model, weights) = adapted(model, weights, rank, config)?;
                let count =
                    |tensors: &[NamedTensor]| tensors.iter().map(|tensor| tensor.values.len()).sum::<usize>() as u64;
                let lora = model.lora.as_ref().map_or(0, |lora| lora.on.len());
                let own = weights.tensors.split_at(weights.tensors.len() - 2 * lora).1;
                let [own, all] = [own, &weights.tensors].map(|tensors| grouped(count(tensors)));
                let said = format!("{lora} adapters of rank {rank} are trained: {own} of {all} numbers");
                (model, Some(weights), Some(said))
            }
        };
        let tracks = model.carries().then(|| {
            let batch = config.train.batch_size;
            format!("the text is read in order, in {batch} parts at once: states go on from batch to batch, nothing is shuffled")
        });
        let notices: Vec<String> = head.map(|head| head.to_string()).into_iter().chain(tracks).chain(adapted).collect();
        Ok(First { model, weights, notice: (!notices.is_empty()).then(|| notices.join("\nnote: ")) })
    }
}
