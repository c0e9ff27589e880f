//! Activations other than ReLU: a type of layer for each function of the table in `crate::ops::pointwise::activation`.

use super::*;
use crate::model::layers::keys::{FINITE, Kind};
use crate::model::layers::onnx::Attribute;
use crate::ops;
use crate::ops::pointwise::activation::{Function, With};

/// An activation, of any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Its function; model files have its name as the type.
    pub function: Function,
    /// Its slope; 0 where the function has none.
    pub slope: f32,
}

impl Activation {
    /// The activation with its default slope.
    pub fn new(function: Function) -> Self {
        Activation { function, slope: function.slope().unwrap_or(0.0) }
    }
}

/// A type for each function. The description in weight files has one tag for all of them, the function's name in a key,
/// and the slope in any case.
pub(super) fn types() -> Vec<LayerType> {
    let one = |&function: &Function| {
        let slope = Key { name: "slope", hidden: function.slope().is_none(), ..Key::new(Kind::Single(FINITE)) };
        let (name, keys) = (function.name(), vec![slope]);
        LayerType { name, tag: "activation", told_by: Some("function"), keys, make }
    };
    Function::ALL.iter().map(one).collect()
}

fn make(kind: &LayerType, values: &[Option<Value>]) -> Option<Arc<dyn Layer>> {
    let plain = Activation::new(Function::named(kind.name)?);
    match values {
        [None] => Some(Arc::new(plain)),
        &[Some(Value::Single(slope))] => Some(Arc::new(Activation { slope, ..plain })),
        _ => None,
    }
}

impl Activation {
    /// Adds its operators one after the other, and gives the result of the last one, which has the name `suffix`.
    pub(super) fn nodes(&self, onnx: &mut Onnx, argument: &str, suffix: &str) -> String {
        let (mut last, steps) = (argument.to_owned(), self.function.onnx());
        for (step, &(op, with)) in steps.iter().enumerate() {
            let own = if step + 1 == steps.len() { suffix.into() } else { format!("{suffix}_{step}") };
            last = match with {
                With::Alone => onnx.node(&own, op, &[&last], &[]),
                With::Argument => onnx.node(&own, op, &[&last, argument], &[]),
                With::SlopeAs(name) => onnx.node(&own, op, &[&last], &[(name, Attribute::Float(self.slope))]),
                With::Number(number) => {
                    let by = onnx.floats(&format!("{own}_by"), &[], vec![number]);
                    onnx.node(&own, op, &[&last, &by], &[])
                }
            };
        }
        last
    }
}

impl Layer for Activation {
    fn type_name(&self) -> &'static str {
        self.function.name()
    }

    fn values(&self) -> Option<Vec<Value>> {
        Some(vec![Value::Single(self.slope)])
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        match self.function.slope().is_none() && self.slope != 0.0 {
            true => Err(format!("found slope = {}, expected 0: it has no slope", self.slope)),
            false => Ok(Inferred::of(inputs[0])),
        }
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let Activation { function, slope } = *self;
        Ok(graph.apply(ops::pointwise::activation::Activation { function, slope }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let argument = onnx.inputs[0].clone();
        self.nodes(onnx, &argument, "");
        Ok(())
    }
}
