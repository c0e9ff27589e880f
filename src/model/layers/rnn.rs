//! The plain recurrence.

use super::*;
use crate::model::layers::keys::{BELOW_1, CARRY, Kind, SIZE, words};
use crate::model::layers::recurrent::{Recurrent, described};
use crate::ops::sequence::cells::Cell;

/// The function of a plain recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

words!(Nonlinearity { Tanh = "tanh", Relu = "relu", });

layer! {
    /// The recurrence h = f(W·x + U·h + b) (Elman, 1990), PyTorch's `RNN` with `batch_first`: [places, features] to [places, units],
    /// twice as many where it goes both ways.
    Rnn "rnn"
    needs {
        /// Numbers of the state.
        units: usize => SIZE,
    }
    takes {
        /// The activation: tanh or relu.
        activation: Nonlinearity = Nonlinearity::Tanh => Key::new(Kind::Choice(Nonlinearity::WORDS)),
        /// Recurrences on top of each other.
        layers: usize = 1 => SIZE,
        /// Whether a second one goes from the end to the beginning.
        bidirectional: bool = false => Key::new(Kind::Flag),
        /// The share of elements that becomes zero between layers in training.
        dropout: f32 = 0.0 => Key::new(Kind::Single(BELOW_1)),
        /// Whether the state goes on from batch to batch of a text that is read in order.
        carry: bool = false => CARRY,
    }
}

impl Rnn {
    fn recurrent(&self) -> Recurrent {
        let Rnn { units, activation, layers, bidirectional, dropout, carry } = *self;
        let cell = if activation == Nonlinearity::Relu { Cell::RnnRelu } else { Cell::RnnTanh };
        Recurrent { cell, units, layers, bidirectional, dropout, carry }
    }
}

impl Layer for Rnn {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        self.recurrent().infer(inputs)
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(self.build_whole(graph, at)?.result)
    }

    fn build_whole(&self, graph: &mut Graph, at: &Inputs) -> Result<Built> {
        self.recurrent().build(graph, at)
    }

    fn ends(&self) -> Option<States> {
        self.recurrent().ends()
    }

    fn begins(&self) -> Option<States> {
        self.recurrent().begins()
    }

    fn carries(&self) -> bool {
        self.carry
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        self.recurrent().onnx(onnx)
    }

    fn describe(&self) -> String {
        described("rnn", &self.recurrent())
    }
}
