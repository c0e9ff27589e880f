//! The key `normalise` of a model file.

use super::{Section, number};
use crate::error::Result;
use crate::model::normalise::ChannelNorm;

impl Section<'_> {
    /// `{ mean = […], std = […] }`, where it is there; whether it fits the input is checked with the model.
    pub(super) fn normalise(&self) -> Result<Option<ChannelNorm>> {
        let Some(found) = self.table.get("normalise") else { return Ok(None) };
        let wrong =
            || self.wrong("normalise", "{ mean = [number, …], std = [number, …] }, one of each for every channel");
        let table = found.get_ref().as_table().ok_or_else(wrong)?;
        if table.len() != 2 {
            return Err(wrong());
        }
        let list = |key: &str| {
            let list = table.get(key).and_then(|list| list.get_ref().as_array()).ok_or_else(wrong)?;
            let numbers = list.iter().map(|value| number::<f64>(value.get_ref()).ok_or_else(wrong));
            numbers.collect::<Result<Vec<f64>>>()
        };
        Ok(Some(ChannelNorm { mean: list("mean")?, std: list("std")? }))
    }
}

/// The line of a model file.
pub(super) fn written(norm: &ChannelNorm) -> String {
    format!("normalise = {{ mean = {:?}, std = {:?} }}\n", norm.mean, norm.std)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    const LAYERS: &str = "[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 2\n";

    #[test]
    fn it_is_read_and_written() {
        let text = "input = [4, 4, 3]\nnormalise = { mean = [0.485, 0.456, 0], std = [0.229, 0.224, 1] }\n";
        let model = Model::from_toml(&format!("{text}{LAYERS}"), "net.toml", "net").unwrap();
        let norm = ChannelNorm { mean: vec![0.485, 0.456, 0.0], std: vec![0.229, 0.224, 1.0] };
        assert_eq!(model.normalise, Some(norm));
        assert_eq!(Model::from_toml(&model.to_toml(), "net.toml", "net").unwrap(), model, "{}", model.to_toml());
        assert_eq!(Model::from_json(&model.to_json().unwrap()).unwrap(), model);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, expected) in [
            ("normalise = 3", "line 2: the model: found normalise = 3, expected { mean = [number"),
            ("normalise = { mean = [0.5] }", "expected { mean = [number"),
            ("normalise = { mean = [0.5], sdt = [1] }", "expected { mean = [number"),
            ("normalise = { mean = ['a'], std = [1] }", "expected { mean = [number"),
            ("normalise = { mean = [0.5], std = [1] }", "1 mean and 1 deviation, expected 3 of each"),
            ("normalise = { mean = [0, 0, 0], std = [1, 1, 0] }", "deviations above 0"),
            ("normalise = { mean = [0, 0, nan], std = [1, 1, 1] }", "expected finite means"),
        ] {
            let text = format!("input = [4, 4, 3]\n{line}\n{LAYERS}");
            let error = Model::from_toml(&text, "net.toml", "net").expect_err(line).to_string();
            assert!(error.starts_with("net.toml: ") && error.contains(expected), "{line}: {error}");
        }
        let table = "input = [3]\nnormalise = { mean = [0], std = [1] }\n[[layers]]\ntype = \"dense\"\nunits = 2\n";
        let error = Model::from_toml(table, "net.toml", "net").expect_err("a table").to_string();
        assert!(error.contains("where the input is an image"), "{error}");
    }
}
