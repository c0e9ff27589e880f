//! Adapters merged into the weights that they adapt.

use crate::error::Result;
use crate::model::formats::weights::NamedTensor;
use crate::model::lora::Lora;
use crate::model::{Model, Weights};
use crate::train::predict::TrainedModel;
use std::collections::{HashMap, HashSet};

impl TrainedModel {
    /// The same model without adapters: W + B·A in place of each weight W that has one.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where weights do not fit.
    pub fn merged(self) -> Result<TrainedModel> {
        let TrainedModel { model, mut weights } = self;
        let Some(Lora { rank, on }) = model.lora.clone() else { return Ok(TrainedModel { model, weights }) };
        weights.check_against(&model)?;
        let adapters: HashSet<String> = on.iter().flat_map(|weight| Lora::names(weight)).collect();
        let (factors, mut rest): (Vec<_>, Vec<_>) =
            weights.tensors.into_iter().partition(|tensor| adapters.contains(&tensor.name));
        let factors: HashMap<String, Vec<f32>> = factors.into_iter().map(|t| (t.name, t.values)).collect();
        for NamedTensor { name, values, .. } in &mut rest {
            let [Some(a), Some(b)] = Lora::names(name).map(|name| factors.get(&name)) else { continue };
            let columns = a.len() / rank;
            for (row, b) in values.chunks_mut(columns).zip(b.chunks(rank)) {
                for (column, value) in row.iter_mut().enumerate() {
                    let more: f64 = (0..rank).map(|r| f64::from(b[r]) * f64::from(a[r * columns + column])).sum();
                    *value = (f64::from(*value) + more) as f32;
                }
            }
        }
        weights = Weights::new(rest);
        Ok(TrainedModel { model: Model { lora: None, ..model }, weights })
    }
}
