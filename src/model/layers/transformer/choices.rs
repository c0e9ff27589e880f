//! What a block may be made of.

use crate::model::layers::keys::words;

/// The activation of the net at each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// max(x, 0).
    Relu,
    /// x · Φ(x).
    Gelu,
    /// The tanh form of it, as in GPT-2.
    GeluTanh,
    /// The gate a and the value b of each unit give silu(a) · b, as in Llama.
    Swiglu,
}

words!(Between { Relu = "relu", Gelu = "gelu", GeluTanh = "gelu_tanh", Swiglu = "swiglu", });

/// The norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// By mean and variance.
    Layer,
    /// By the root of the mean square.
    Rms,
}

words!(Norms { Layer = "layer", Rms = "rms", });

/// How queries and keys know their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// They do not, but for what was added to the sequence before.
    None,
    /// They are turned (Su and others, 2021).
    Rotary,
}

words!(Turns { None = "none", Rotary = "rotary", });
