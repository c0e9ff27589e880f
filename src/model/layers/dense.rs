//! Every feature to every unit.

use super::*;
use crate::model::layers::keys::{BIAS, SIZE};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::weight_and_bias;
use crate::ops::matmul::matmul_nt::MatmulNt;

layer! {
    /// Every feature to every unit: `[features]` to `[units]`, or of each place of a sequence, [places, features] to [places,
    /// units]. PyTorch's `Linear`.
    Dense "dense"
    needs {
        /// Features of the result.
        units: usize => SIZE,
    }
    takes {
        /// Whether it has a bias.
        bias: bool = true => BIAS,
    }
}

impl Layer for Dense {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let Dense { units, bias } = *self;
        let (places, features) = match *inputs.first().copied().unwrap_or_default() {
            [ref places @ .., features] if places.len() < 2 => (places, features),
            ref found => {
                let expected = "expected [features]: a flatten must come before it";
                return Err(format!("found an input of shape {found:?}, {expected}"));
            }
        };
        let (shape, weight) = ([places, &[units]].concat(), vec![units, features]);
        Ok(Inferred { shape, params: weight_and_bias(weight, units, [features, units], bias) })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let arguments = at.arguments();
        Ok(graph.apply(MatmulNt::default(), &arguments)?[0])
    }

    fn may_tie(&self) -> bool {
        true
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        match onnx.shapes[0].len() {
            1 => onnx.whole("Gemm", &[("transB", Attribute::Int(1))]),
            _ => {
                let (input, params) = (onnx.inputs[0].clone(), onnx.params.clone());
                let turned = onnx.node("_turned", "Transpose", &[&params[0]], &[("perm", Attribute::Ints(vec![1, 0]))]);
                let last = if self.bias { "_product" } else { "" };
                let product = onnx.node(last, "MatMul", &[&input, &turned], &[]);
                params.get(1).map(|bias| onnx.node("", "Add", &[&product, bias], &[]));
            }
        }
        Ok(())
    }
}
