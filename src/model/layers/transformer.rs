//! A block of a transformer: attention, then a net at each place, each around a residual connection.

mod onnx;

use super::*;
use crate::model::Mode;
use crate::model::layers::keys::{BELOW_1, BIAS, Field, Kind, SIZE};
use crate::model::layers::params::{ParamSpec, Spread};
use crate::model::layers::positions::{SMALL, part};
use crate::ops::attention::attention::Attention as Attend;
use crate::ops::attention::heads::LARGEST_HEAD;
use crate::ops::attention::keep_row::KeepRow;
use crate::ops::attention::limits::Limits;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::pointwise::activation::{Activation as Apply, Function};
use crate::ops::pointwise::add::Add as Sum;
use crate::ops::pointwise::dropout::Dropout as Drop;
use crate::ops::pointwise::relu::Relu as Rectify;
use crate::ops::sequence::step_place::StepPlace;
use crate::ops::shape::slice::Slice;
use crate::{ir::graph::Role, ir::graph::TensorInfo, ops::norm::layer_norm::LayerNorm as Norm};

/// The activation of the net at each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// max(x, 0).
    Relu,
    /// x · Φ(x).
    Gelu,
}

impl Field for Between {
    type Given = Between;

    fn value(self) -> Value {
        Value::Choice(match self {
            Between::Relu => "relu",
            Between::Gelu => "gelu",
        })
    }

    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Choice("relu") => Some(Between::Relu),
            Value::Choice("gelu") => Some(Between::Gelu),
            _ => None,
        }
    }
}

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
        /// The activation of the net.
        activation: Between = Between::Gelu => Key::new(Kind::Choice(&["relu", "gelu"])),
        /// Heads of keys and values, each of which serves several of queries.
        kv_heads: usize = heads => SIZE.omitted(),
        /// Whether it looks at an earlier result too: model files name that.
        memory: bool = false => Key { hidden: true, ..Key::new(Kind::Flag).omitted() },
    }
}

/// The constant added to variances, PyTorch's default.
const EPSILON: f64 = 1e-5;

/// The parameters of a block, handed out in their order.
struct Params<'a> {
    params: std::slice::Iter<'a, Tensor>,
    bias: bool,
}

impl Params<'_> {
    /// A weight, and its bias if there is one, after x.
    fn with(&mut self, x: Tensor) -> Vec<Tensor> {
        let count = if self.bias { 2 } else { 1 };
        std::iter::once(x).chain(self.params.by_ref().take(count).copied()).collect()
    }

    fn product(&mut self, graph: &mut Graph, x: Tensor) -> Result<Tensor> {
        let arguments = self.with(x);
        Ok(graph.apply(MatmulNt::default(), &arguments)?[0])
    }
}

impl Transformer {
    /// Parameters of a weight under this name, drawn in this way, and of its bias.
    fn pair(&self, [weight, bias]: [&str; 2], [outputs, inputs]: [usize; 2], spread: Spread) -> Vec<ParamSpec> {
        let weight = ParamSpec::drawn(vec![outputs, inputs], [inputs, outputs]).spread(weight, spread);
        let bias = self.bias.then(|| ParamSpec { name: bias.into(), ..ParamSpec::bias(outputs, [inputs, outputs]) });
        std::iter::once(weight).chain(bias).collect()
    }

    fn attention_params(&self, name: &str, features: usize, wide: usize) -> Vec<ParamSpec> {
        let named = |what: &str| format!("{name}.{what}");
        let [weight, bias, out, out_bias] =
            ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"].map(named);
        let into = self.pair([&weight, &bias], [wide, features], SMALL);
        [into, self.pair([&out, &out_bias], [features; 2], Spread::Residual(0.02))].concat()
    }

    fn norm_params(&self, name: &str, features: usize) -> Vec<ParamSpec> {
        let named = |(what, at): (&str, f32)| ParamSpec {
            name: format!("{name}.{what}"),
            ..ParamSpec::per_channel(what, features, at)
        };
        [("weight", 1.0), ("bias", 0.0)].into_iter().take(if self.bias { 2 } else { 1 }).map(named).collect()
    }

    /// Numbers of a head.
    fn head(&self, features: usize) -> usize {
        features / self.heads
    }

    fn op(&self, memory: bool, lengths: bool, dropout: f32) -> Attend {
        let causal = self.causal && !memory;
        Attend { sharing: self.heads / self.kv_heads, memory, lengths, dropout, ..Attend::new(self.heads, causal) }
    }

    /// The attention of queries to keys and values, the same tensor as they or of another sequence, of these lengths.
    fn attend(&self, graph: &mut Graph, at: &Inputs, x: &[Tensor], lengths: Option<Tensor>) -> Result<Tensor> {
        let memory = x.len() == 2;
        let (mut lengths, mut dropout) = (lengths, 0.0);
        if self.dropout > 0.0 && at.build.mode == Mode::Training {
            let most = graph.shape(x[x.len() - 1])[1];
            let limits = Limits { batch: at.shape[0], most, salt: salt(at, if memory { 5 } else { 4 }) };
            let arguments: Vec<Tensor> = std::iter::once(at.control()?).chain(lengths).collect();
            (lengths, dropout) = (Some(graph.apply(limits, &arguments)?[0]), self.dropout);
        }
        let arguments: Vec<Tensor> = x.iter().copied().chain(lengths).collect();
        Ok(graph.apply(self.op(memory, lengths.is_some(), dropout), &arguments)?[0])
    }

    /// The attention of x, normalised, to itself; of a text that is generated to all its tokens so far.
    fn own(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let qkv = params.product(graph, x)?;
        let lengths = at.lengths.first().copied().flatten();
        let found = match at.build.mode {
            Mode::Generation => self.cached(graph, at, qkv)?,
            _ => self.attend(graph, at, &[qkv], lengths)?,
        };
        params.product(graph, found)
    }

    /// The attention of one token to those before it, whose keys and values are kept from step to step.
    fn cached(&self, graph: &mut Graph, at: &Inputs, qkv: Tensor) -> Result<Tensor> {
        let places = at.build.context.filter(|_| self.causal);
        let places =
            places.ok_or_else(|| Error::input("found causal = false, expected true where a text is continued"))?;
        let (control, batch, features) = (at.control()?, at.shape[0], at.shape[2]);
        let columns = 2 * self.kv_heads * self.head(features);
        let info = TensorInfo::floats(format!("{}.kv", at.index), [batch, places, columns]);
        let kept = graph.tensor(info.role(Role::State));
        graph.keep(KeepRow { first: features, columns, places }, &[control, qkv], kept)?;
        let lengths = graph.apply(StepPlace { batch, offset: 1, most: places }, &[control])?[0];
        let q = graph.apply(Slice { offset: 0, columns: features }, &[qkv])?[0];
        self.attend(graph, at, &[q, kept], Some(lengths))
    }

    /// Dropout before a sum, or within the net; `place` tells those of a block apart.
    fn dropped(&self, graph: &mut Graph, at: &Inputs, x: Tensor, place: u32) -> Result<Tensor> {
        if self.dropout == 0.0 || at.build.mode != Mode::Training {
            return Ok(x);
        }
        Ok(graph.apply(Drop { rate: self.dropout, salt: salt(at, place) }, &[at.control()?, x])?[0])
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
        params.extend(self.pair(["linear1.weight", "linear1.bias"], [hidden, features], SMALL));
        params.extend(self.pair(["linear2.weight", "linear2.bias"], [features, hidden], Spread::Residual(0.02)));
        let norms = ["norm1", "norm2", "norm3"].into_iter().take(if self.memory { 3 } else { 2 });
        norms.for_each(|norm| params.extend(self.norm_params(norm, features)));
        Ok(Inferred { shape: vec![places, features], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let norms = (if self.memory { 3 } else { 2 }) * if self.bias { 2 } else { 1 };
        let (others, norms) = at.params.split_at(at.params.len().saturating_sub(norms));
        let [mut others, mut norms] = [others, norms].map(|params| Params { params: params.iter(), bias: self.bias });
        let mut x = at.x[0];
        let parts: &[Part] = if self.memory { &[Part::Own, Part::Other, Part::Net] } else { &[Part::Own, Part::Net] };
        for (place, part) in (0..).zip(parts) {
            let mut norm = |graph: &mut Graph, x: Tensor| {
                Ok::<_, Error>(graph.apply(Norm { epsilon: EPSILON }, &norms.with(x))?[0])
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
    /// The attention of x to the memory.
    fn other(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let &[_, memory] = at.x else { return Err(Error::failed("a block with a memory reads two results")) };
        let lengths = at.lengths.get(1).copied().flatten();
        let features = at.shape[2];
        // One weight makes the queries of x, and keys and values of the memory.
        let into = params.with(x);
        let parts = [(x, 0, features), (memory, features, 2 * self.kv_heads * self.head(features))];
        let mut arguments = Vec::new();
        for (from, first, rows) in parts {
            let mut of = vec![from];
            for &param in &into[1..] {
                of.push(part(graph, param, first, rows)?);
            }
            arguments.push(graph.apply(MatmulNt::default(), &of)?[0]);
        }
        let found = self.attend(graph, at, &arguments, lengths)?;
        params.product(graph, found)
    }

    /// The net at each place.
    fn net(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let inner = params.product(graph, x)?;
        let inner = match self.activation {
            Between::Relu => graph.apply(Rectify, &[inner])?[0],
            Between::Gelu => graph.apply(Apply { function: Function::Gelu, slope: 0.0 }, &[inner])?[0],
        };
        let inner = self.dropped(graph, at, inner, 3)?;
        params.product(graph, inner)
    }
}
