//! Every feature to every unit.

use super::*;
use crate::model::layers::keys::{BIAS, SIZE};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::weight_and_bias;
use crate::ops::matmul::matmul_nt::MatmulNt;

layer! {
    /// Every feature to every unit: `[features]` to `[units]`. PyTorch's `Linear`.
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
        let [features] =
            sizes(inputs).map_err(|found| format!("{found}, expected [features]: a flatten must come before it"))?;
        let Dense { units, bias } = *self;
        let weight = vec![units, features];
        Ok(Inferred { shape: vec![units], params: weight_and_bias(weight, units, [features, units], bias) })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let arguments = at.arguments();
        Ok(graph.apply(MatmulNt::default(), &arguments)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        onnx.whole("Gemm", &[("transB", Attribute::Int(1))]);
        Ok(())
    }
}
