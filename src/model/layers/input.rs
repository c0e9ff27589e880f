//! A second input: the text that is to be written, as far as it is known.

use super::*;

layer! {
    /// The tokens of the other text of a pair, of which each place is to tell the next: in training the translation that the data
    /// has, after a token that begins it. It has one place more than the first input, for the token that ends it.
    Input "input"
    needs {}
    takes {}
}

impl Input {
    /// Its places, beside a first input of that many.
    pub fn places(first: usize) -> usize {
        first + 1
    }
}

impl Layer for Input {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let expected = "expected a model with input = { tokens = N }";
        let [places] = sizes(inputs).map_err(|found| format!("{found}, {expected}"))?;
        Ok(Inferred::of([Input::places(places)]))
    }

    fn build(&self, _: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let missing = || Error::input("found no second text, expected the translation beside the text that it is of");
        at.build.target.ok_or_else(missing)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        onnx.inputs = vec!["target".into()];
        Ok(())
    }
}
