//! The places of a model that take modules of a file: its layers with weights, and each cell of a recurrence.

use super::Order;
use super::modules::{Module, last, prefix};
use super::recurrent::MEMBERS;
use crate::error::{Error, Result};
use crate::ir::graph::Layout;
use crate::model::layers::{Flatten, KerasWeight};
use crate::model::{Model, ParamSpec};

/// One layer with weights.
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) name: String,
    /// Weight and bias; running mean and variance where it has them.
    pub(super) params: Vec<ParamSpec>,
    /// How Keras orders its weight.
    pub(super) keras: KerasWeight,
    /// H · W and C of the image that was flattened into its features.
    pub(super) flattened: Option<[usize; 2]>,
}

impl Place {
    /// The shape of its weight in a file of this order.
    pub(super) fn shape(&self, order: Order) -> Vec<usize> {
        match (order, &self.params[0].file_shape[..], self.keras) {
            (_, shape, _) if self.is_cell() => shape.to_vec(),
            (_, shape, KerasWeight::Rows) => shape.to_vec(),
            (Order::Keras, &[o, 1, kh, kw], KerasWeight::Depthwise { multiplier }) => {
                vec![kh, kw, o / multiplier, multiplier]
            }
            (Order::Keras, &[o, i, kh, kw], _) => vec![kh, kw, i, o],
            (Order::Keras, &[units, features], _) => vec![features, units],
            (_, shape, _) => shape.to_vec(),
        }
    }

    /// Whether it is a normalisation: all its parameters have one value per channel.
    pub(super) fn is_norm(&self) -> bool {
        self.params[0].file_shape.len() == 1
    }

    /// Whether it is a cell of a recurrence, which a file has in one form by now.
    pub(super) fn is_cell(&self) -> bool {
        last(&self.params[0].name).starts_with(MEMBERS[0])
    }

    /// Whether it is a cell of three gates.
    fn is_gru(&self) -> bool {
        self.is_cell() && self.params[0].file_shape[0] == 3 * self.params[1].file_shape[1]
    }

    /// Whether a module with the members of one would do for the other.
    pub(super) fn is_like(&self, other: &Place, order: Order) -> bool {
        self.shape(order) == other.shape(order) && self.params.len() == other.params.len()
    }

    pub(super) fn fits(&self, module: &Module, order: Order) -> bool {
        let own = self.params.iter().zip(&module.members).skip(1);
        // A bias may be missing; what a normalisation has learnt or counted may not.
        let others = own.clone().enumerate().all(|(at, (param, member))| match member {
            Some(member) => member.shape == param.file_shape,
            None => at == 0 && !self.is_norm(),
        });
        let more = module.members.iter().skip(self.params.len()).flatten().next();
        others && more.is_none() && module.weight().is_some_and(|weight| weight.shape == self.shape(order))
    }

    /// How a file of this order has a parameter, and what is to be done to it.
    pub(super) fn layout(&self, order: Order, param: &ParamSpec) -> (Layout, &'static str) {
        let file_shape = param.file_shape.clone();
        match (order, self.flattened, file_shape.len()) {
            (Order::Keras, ..) if self.is_cell() => (
                Layout { perm: (0..file_shape.len()).collect(), file_shape },
                if self.is_gru() { "transposed, gates z r h to r z n" } else { "transposed" },
            ),
            (Order::Pytorch, ..) => (Layout { perm: (0..file_shape.len()).collect(), file_shape }, "as they are"),
            _ if self.keras == KerasWeight::Rows => {
                (Layout { perm: (0..file_shape.len()).collect(), file_shape }, "as they are")
            }
            (_, _, 4) => match self.keras {
                KerasWeight::Depthwise { .. } => (param.layout(), "H W C M to C·M 1 H W"),
                KerasWeight::InputsLast => (param.layout(), "H W O I to I O H W"),
                KerasWeight::OutputsLast | KerasWeight::Rows => (param.layout(), "H W I O to O I H W"),
            },
            (_, Some([places, channels]), 1) if self.is_norm() => {
                (Layout { file_shape: vec![channels, places], perm: vec![1, 0] }, "features H W C to C H W")
            }
            (_, _, 1) => (Layout { perm: vec![0], file_shape }, "as they are"),
            (_, Some([places, channels]), _) => {
                let file_shape = vec![file_shape[0], channels, places];
                (Layout { file_shape, perm: vec![2, 1, 0] }, "transposed, features H W C to C H W")
            }
            _ => (Layout { file_shape, perm: vec![1, 0] }, "transposed"),
        }
    }
}

/// The places of a model, in its order.
pub(super) fn places(model: &Model) -> Result<Vec<Place>> {
    /// A result: its shape, and the image that was flattened into its features, if the order of theirs is still that.
    type Given = (Vec<usize>, Option<[usize; 2]>);
    let (mut places, mut results) = (Vec::new(), Vec::<Given>::new());
    let (input, mut reordered) = ((model.input.to_vec(), None), false);
    for (index, (layer, inferred)) in model.layers.iter().zip(model.infer()?).enumerate() {
        let inputs = layer.inputs(index, &input, &results)?;
        let (shape, mut flattened) = inputs.first().copied().cloned().unwrap_or_default();
        // The order of the features no longer follows from the last flatten alone.
        if layer.joins() && shape.len() == 1 && reordered {
            let kind = layer.type_name();
            let expected = "expected add and concat before the flatten, for weights to be imported";
            return Err(Error::input(format!("layer {index} ({kind}): found features, {expected}")));
        }
        if let (true, &[h, w, c]) = (layer.is::<Flatten>(), &shape[..]) {
            flattened = (h * w > 1 && c > 1).then_some([h * w, c]);
            reordered |= flattened.is_some();
        }
        if inferred.params.first().is_some_and(|first| last(&first.name).starts_with(MEMBERS[0])) {
            let place = |params: &[ParamSpec]| {
                let cell = last(&params[0].name).trim_start_matches(MEMBERS[0]).replace('_', " ");
                let kind = layer.type_name();
                let name = if inferred.params.len() == 4 { kind.into() } else { format!("{kind}{cell}") };
                let (params, keras) = (params.to_vec(), layer.keras_weight());
                Place { index, name: format!("{index} ({name})"), params, keras, flattened: None }
            };
            places.extend(inferred.params.chunks(4).map(place));
            flattened = None;
        } else if matches!(inferred.params.len(), 1..=4) {
            let name = format!("{index} ({})", layer.type_name());
            let keras = layer.keras_weight();
            let place = Place { index, name, params: inferred.params, keras, flattened };
            // A normalisation leaves the features in their order.
            flattened = flattened.filter(|_| place.is_norm());
            places.push(place);
        } else if !inferred.params.is_empty() {
            // A block of several modules, each of a name of its own.
            for params in inferred.params.chunk_by(|a, b| prefix(&a.name) == prefix(&b.name)) {
                let name = format!("{index} ({} {})", layer.type_name(), last(prefix(&params[0].name)));
                let (params, keras) = (params.to_vec(), layer.keras_weight());
                places.push(Place { index, name, params, keras, flattened: None });
            }
            flattened = None;
        }
        results.push((inferred.shape, flattened));
    }
    Ok(places)
}
