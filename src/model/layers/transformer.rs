//! A block of a transformer: attention, then a net at each place, each around a residual connection.

mod attend;
mod choices;
mod onnx;

pub use choices::{Between, Norms, Turns};

use super::*;
use crate::model::Mode;
use crate::model::layers::keys::{ABOVE_0, BELOW_1, BIAS, Kind, SIZE};
use crate::model::layers::params::{ParamSpec, Spread};
use crate::model::layers::positions::SMALL;
use crate::ops::attention::heads::LARGEST_HEAD;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::norm::layer_norm::LayerNorm as ByVariance;
use crate::ops::norm::rms_norm::RmsNorm as ByMeanSquare;
use crate::ops::pointwise::activation::{Activation as Apply, Function};
use crate::ops::pointwise::add::Add as Sum;
use crate::ops::pointwise::dropout::Dropout as Drop;
use crate::ops::pointwise::relu::Relu as Rectify;
use crate::ops::pointwise::swiglu::Swiglu;

layer! {
    /// A block of a transformer (Vaswani and others, 2017): [places, features] to the same. Parameters are those of PyTorch's
    /// `TransformerEncoderLayer`, and with `memory`, an earlier result that it looks at too, of its `TransformerDecoderLayer`.
    Transformer "transformer"
    needs {
        /// Heads of the attention, of features / heads numbers each.
        heads: usize => SIZE,
        /// Units of the net at each place.
        hidden: usize => SIZE,
    }
    takes {
        /// Whether a place sees none after it, as where a text is continued.
        causal: bool = false => Key::new(Kind::Flag),
        /// Whether norms come before attention and net, as in GPT-2, and not after the sums, as in 2017.
        norm_first: bool = true => Key::new(Kind::Flag),
        /// Whether products and norms have biases.
        bias: bool = true => BIAS,
        /// The share of elements that becomes zero in training: of the attention's weights, within the net and before each sum.
        dropout: f32 = 0.0 => Key::new(Kind::Single(BELOW_1)),
        /// The activation of the net: `gelu` is the one with erf; `swiglu` gates one half of twice `hidden` units by the other.
        activation: Between = Between::Gelu => Key::new(Kind::Choice(Between::WORDS)),
        /// Heads of keys and values, each of which serves several of queries.
        kv_heads: usize = heads => SIZE.omitted(),
        /// Whether it looks at an earlier result too: model files name that.
        memory: bool = false => Key { hidden: true, ..Key::new(Kind::Flag).omitted() },
        /// The norms: of the layer, or RMS norms, which have no bias.
        norm: Norms = Norms::Layer => Key::new(Kind::Choice(Norms::WORDS)).omitted(),
        /// The constant added to variances, or mean squares; by default PyTorch's.
        epsilon: f64 = 1e-5 => Key::new(Kind::Number(ABOVE_0)).omitted(),
        /// Whether queries and keys are turned by their places (`rotary`).
        positions: Turns = Turns::None => Key::new(Kind::Choice(Turns::WORDS)).omitted(),
        /// The base of the wavelengths of rotary positions.
        rotary_base: f64 = 10_000.0 => Key::new(Kind::Number(ABOVE_0)).omitted(),
        /// How much slower pairs of long wavelengths turn: in Llama 3.1 and later those that turn less than `rotary_low` times
        /// within the `rotary_context` places that the net was trained with at first. Without that context, all.
        rotary_factor: f64 = 1.0 => Key::new(Kind::Number(ABOVE_0)).omitted(),
        /// The places within which turns are counted.
        rotary_context: usize = 1 => SIZE.omitted(),
        /// Pairs with fewer turns are slower by the whole factor.
        rotary_low: f64 = 1.0 => Key::new(Kind::Number(ABOVE_0)).omitted(),
        /// Pairs with more turns are as fast as they were.
        rotary_high: f64 = 4.0 => Key::new(Kind::Number(ABOVE_0)).omitted(),
        /// Whether queries, keys and values have biases where other products have none, as in Qwen 2.
        qkv_bias: bool = false => BIAS,
    }
}

/// The parameters of a block, handed out in their order.
struct Params<'a>(std::slice::Iter<'a, Tensor>);

impl Params<'_> {
    /// A weight, and its bias if there is one, after x.
    fn with(&mut self, x: Tensor, bias: bool) -> Vec<Tensor> {
        let count = if bias { 2 } else { 1 };
        std::iter::once(x).chain(self.0.by_ref().take(count).copied()).collect()
    }

    fn product(&mut self, graph: &mut Graph, x: Tensor, bias: bool) -> Result<Tensor> {
        let arguments = self.with(x, bias);
        Ok(graph.apply(MatmulNt::default(), &arguments)?[0])
    }
}

impl Transformer {
    /// Parameters of a weight under this name, drawn in this way, and of its bias.
    fn pair(
        [weight, bias]: [&str; 2],
        [outputs, inputs]: [usize; 2],
        spread: Spread,
        has_bias: bool,
    ) -> Vec<ParamSpec> {
        let weight = ParamSpec::drawn(vec![outputs, inputs], [inputs, outputs]).spread(weight, spread);
        let bias = has_bias.then(|| ParamSpec { name: bias.into(), ..ParamSpec::bias(outputs, [inputs, outputs]) });
        std::iter::once(weight).chain(bias).collect()
    }

    /// Whether queries, keys and values have biases.
    fn biases_qkv(&self) -> bool {
        self.bias || self.qkv_bias
    }

    fn attention_params(&self, name: &str, features: usize, wide: usize) -> Vec<ParamSpec> {
        let named = |what: &str| format!("{name}.{what}");
        let [weight, bias, out, out_bias] =
            ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"].map(named);
        let into = Self::pair([&weight, &bias], [wide, features], SMALL, self.biases_qkv());
        [into, Self::pair([&out, &out_bias], [features; 2], Spread::Residual(0.02), self.bias)].concat()
    }

    fn norm_params(&self, name: &str, features: usize) -> Vec<ParamSpec> {
        let named = |(what, at): (&str, f32)| ParamSpec {
            name: format!("{name}.{what}"),
            ..ParamSpec::per_channel(what, features, at)
        };
        [("weight", 1.0), ("bias", 0.0)].into_iter().take(self.norm_size()).map(named).collect()
    }

    /// Parameters of a norm.
    fn norm_size(&self) -> usize {
        if self.bias && self.norm == Norms::Layer { 2 } else { 1 }
    }

    /// Parts, each with a norm.
    fn parts(&self) -> usize {
        if self.memory { 3 } else { 2 }
    }

    /// Units that the first product of the net gives.
    fn inner(&self) -> usize {
        if self.activation == Between::Swiglu { 2 * self.hidden } else { self.hidden }
    }

    /// Dropout before a sum, or within the net; `place` tells those of a block apart.
    fn dropped(&self, graph: &mut Graph, at: &Inputs, x: Tensor, place: u32) -> Result<Tensor> {
        if self.dropout == 0.0 || at.build.mode != Mode::Training {
            return Ok(x);
        }
        Ok(graph.apply(Drop { rate: self.dropout, salt: salt(at, place), each: 1 }, &[at.control()?, x])?[0])
    }
}

/// A number that tells the dropouts of a net apart: places in the list of layers take the low bits.
fn salt(at: &Inputs, place: u32) -> u32 {
    at.index as u32 ^ (place << 20)
}

impl Layer for Transformer {
    keyed!();

    fn joins(&self) -> bool {
        self.memory
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let expected = "expected a sequence [places, features], as an embedding gives";
        let [places, features] = sizes(inputs).map_err(|found| format!("{found}, {expected}"))?;
        let Transformer { heads, hidden, kv_heads, .. } = *self;
        if !features.is_multiple_of(heads) {
            return Err(format!("found {features} features and heads = {heads}, expected features in multiples of it"));
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(format!("found kv_heads = {kv_heads} and heads = {heads}, expected a divisor of it"));
        }
        if self.positions == Turns::Rotary && !self.head(features).is_multiple_of(2) {
            let found = self.head(features);
            return Err(format!("found heads of {found} numbers, expected an even number with rotary positions"));
        }
        if self.head(features) > LARGEST_HEAD {
            let found = self.head(features);
            return Err(format!("found heads of {found} numbers, expected at most {LARGEST_HEAD}: more heads"));
        }
        let wide = features + 2 * kv_heads * self.head(features);
        let mut params = self.attention_params("self_attn", features, wide);
        if self.memory {
            match inputs[1..] {
                [&[_, size]] if size == features => {}
                ref found => {
                    return Err(format!("found {found:?} to look at, expected one sequence of {features} features"));
                }
            }
            params.extend(self.attention_params("multihead_attn", features, wide));
        }
        let residual = Spread::Residual(0.02);
        params.extend(Self::pair(["linear1.weight", "linear1.bias"], [self.inner(), features], SMALL, self.bias));
        params.extend(Self::pair(["linear2.weight", "linear2.bias"], [features, hidden], residual, self.bias));
        let norms = ["norm1", "norm2", "norm3"].into_iter().take(self.parts());
        norms.for_each(|norm| params.extend(self.norm_params(norm, features)));
        Ok(Inferred { shape: vec![places, features], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let norms = self.parts() * self.norm_size();
        let (others, norms) = at.params.split_at(at.params.len().saturating_sub(norms));
        let (mut others, mut norms) = (Params(others.iter()), Params(norms.iter()));
        let mut x = at.x[0];
        let parts: &[Part] = if self.memory { &[Part::Own, Part::Other, Part::Net] } else { &[Part::Own, Part::Net] };
        for (place, part) in (0..).zip(parts) {
            let mut norm = |graph: &mut Graph, x: Tensor| {
                let (epsilon, arguments) = (self.epsilon, norms.with(x, self.norm_size() == 2));
                Ok::<_, Error>(match self.norm {
                    Norms::Layer => graph.apply(ByVariance { epsilon }, &arguments)?[0],
                    Norms::Rms => graph.apply(ByMeanSquare { epsilon }, &arguments)?[0],
                })
            };
            let from = if self.norm_first { norm(graph, x)? } else { x };
            let found = match part {
                Part::Own => self.own(graph, at, from, &mut others)?,
                Part::Other => self.other(graph, at, from, &mut others)?,
                Part::Net => self.net(graph, at, from, &mut others)?,
            };
            let found = self.dropped(graph, at, found, place)?;
            x = graph.apply(Sum, &[x, found])?[0];
            if !self.norm_first {
                x = norm(graph, x)?;
            }
        }
        Ok(x)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        self.nodes(onnx)
    }

    fn describe(&self) -> String {
        let Transformer { heads, hidden, .. } = self;
        let causal = if self.causal { " causal" } else { "" };
        format!("transformer{causal} {heads} heads, {hidden}")
    }
}

/// A part of a block around which a residual connection goes.
enum Part {
    /// Attention of the sequence to itself.
    Own,
    /// Attention to the memory.
    Other,
    /// The net at each place.
    Net,
}

impl Transformer {
    /// The net at each place.
    fn net(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let inner = params.product(graph, x, self.bias)?;
        let inner = match self.activation {
            Between::Relu => graph.apply(Rectify, &[inner])?[0],
            Between::Gelu => graph.apply(Apply { function: Function::Gelu, slope: 0.0 }, &[inner])?[0],
            Between::GeluTanh => graph.apply(Apply { function: Function::GeluTanh, slope: 0.0 }, &[inner])?[0],
            Between::Swiglu => graph.apply(Swiglu, &[inner])?[0],
        };
        let inner = self.dropped(graph, at, inner, 3)?;
        params.product(graph, inner, self.bias)
    }
}
