//! A trained model as ONNX. It reads `input`: [N, channels, height, width] of pixels / 255, [N, columns] of a table's own
//! numbers, in double precision, or [N, length] of tokens as int64, and a translator also `target`, [N, length] of tokens. It
//! gives `probabilities` [N, classes], [N, classes, height, width], [N, length, tokens] or [N, answers], or `numbers`
//! [N, targets] in the targets' own units, in double precision.

mod proto;

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::ir::element::Prepare;
use crate::model::formats::weights::METADATA_KEY;
use crate::model::layers::Input;
use crate::model::layers::onnx::{Attribute, Elements, Onnx, OnnxConstant, OnnxNode};
use crate::model::{Model, Normalisation, Scale, Task};
use crate::train::predict::TrainedModel;
use prost::Message;
use proto::*;
use std::collections::HashSet;
use std::path::Path;

/// The most bytes that a message of protocol buffers may have.
const LARGEST_BYTES: usize = i32::MAX as usize;

impl TrainedModel {
    /// The model as ONNX, opset 17. N is free. The metadata holds `preprocessing`, `class_names` (a JSON list) and `wgrad`
    /// (the description of the model in weight files).
    ///
    /// # Errors
    /// [`Error::Input`] if weights and model do not fit, and where they are more than the 2 GiB that the format holds.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        let message = self.message()?;
        let bytes = message.encoded_len();
        if bytes > LARGEST_BYTES {
            return Err(Error::input(format!(
                "found a model of {bytes} bytes, expected at most {LARGEST_BYTES} for ONNX"
            )));
        }
        Ok(message.encode_to_vec())
    }

    /// Writes the model as ONNX, whole or not at all.
    ///
    /// # Errors
    /// As [`TrainedModel::to_onnx`] and [`write_whole`].
    pub fn save_onnx(&self, path: impl AsRef<Path>) -> Result<()> {
        write_whole(path.as_ref(), &self.to_onnx()?)
    }

    fn message(&self) -> Result<ModelProto> {
        let model = &self.model;
        self.weights.check_against(model)?;
        let classes = model.classes()?;
        // Inside channels come last, outside first.
        let outside = |sizes: &[usize]| match *sizes {
            [height, width, channels] => vec![channels, height, width],
            _ => sizes.to_vec(),
        };
        let output = match model.input[..] {
            [height, width, _] if model.is_segmentation()? => vec![classes, height, width],
            [length] if model.task == Task::Next => vec![model.written().unwrap_or(length), classes],
            _ => vec![classes],
        };
        let mut graph = Builder::new(&model.name);
        match model.reads_table() {
            true => graph.standardise(&model.columns),
            false => graph.normalise(model),
        }
        let is_filled = model.text.is_some() && (model.task != Task::Next || model.translates());
        let lengths = is_filled.then(|| graph.lengths("lengths", "input", model.vocabulary()));
        let known = model.target_vocabulary();
        let written = model.translates().then(|| graph.lengths("target_lengths", "target", known));
        let shapes: Vec<Vec<usize>> = model.infer()?.into_iter().map(|inferred| inferred.shape).collect();
        let (input, first) = (model.input.to_vec(), graph.last.clone());
        let begun: HashSet<usize> = model.layers.iter().filter_map(|later| later.state).collect();
        let mut results: Vec<String> = Vec::new();
        let (mut lengths_of, mut ends): (Vec<Option<String>>, Vec<Vec<String>>) = Default::default();
        for (index, (layer, inferred)) in model.layers.iter().zip(model.infer()?).enumerate() {
            let name = format!("{index}_{}", layer.type_name());
            let inputs = layer.inputs(index, &first, &results)?.into_iter().cloned().collect();
            let given = layer.inputs(index, &input, &shapes)?.into_iter().map(|shape| &shape[..]).collect();
            let tied = layer.tied.map(|tied| format!("{tied}.weight"));
            let params = tied.into_iter().chain(inferred.params.iter().map(|param| param.name.clone())).collect();
            let mut onnx = Onnx::new(name, inputs, given, params);
            let of = |place: Option<usize>| match place {
                _ if layer.is::<Input>() => written.clone(),
                None => lengths.clone(),
                Some(place) => lengths_of.get(place).cloned().flatten(),
            };
            onnx.lengths = layer.places(index).into_iter().map(of).collect();
            onnx.states = layer.state.and_then(|from| ends.get(from)).cloned().unwrap_or_default();
            onnx.ends = begun.contains(&index).then(Vec::new);
            layer.onnx(&mut onnx).map_err(|why| Error::input(format!("layer {}: {why}", onnx.name)))?;
            graph.last = onnx.result();
            results.push(onnx.result());
            lengths_of.push(onnx.lengths_of(0));
            ends.push(onnx.ends.take().unwrap_or_default());
            onnx.constants.iter().for_each(|constant| graph.constant(constant));
            onnx.nodes.into_iter().for_each(|node| graph.add(node));
        }
        let name = match &model.task {
            Task::Classify | Task::Next => {
                let axis = if model.task == Task::Next { 2 } else { 1 };
                graph.then("Softmax", "probabilities", None, vec![("axis", Attribute::Int(axis))]);
                "probabilities"
            }
            Task::Answers => {
                graph.then("Sigmoid", "probabilities", None, Vec::new());
                "probabilities"
            }
            Task::Regress { targets } => {
                graph.restore(targets);
                "numbers"
            }
        };
        for tensor in &self.weights.tensors {
            graph.floats(&tensor.name, &tensor.shape, tensor.values.clone());
        }
        let mut graph = graph.graph;
        let double = |is_double: bool| if is_double { DOUBLE } else { FLOAT };
        let read = if model.text.is_some() { INT64 } else { double(model.reads_table()) };
        graph.input = vec![value("input", read, &outside(&model.input))];
        if let Some(places) = model.written().filter(|_| model.translates()) {
            graph.input.push(value("target", read, &[places]));
        }
        graph.output = vec![value(name, double(name == "numbers"), &output)];
        Ok(ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: OPSET }],
            metadata_props: metadata(model, classes)?,
        })
    }
}

fn metadata(model: &Model, classes: usize) -> Result<Vec<StringStringEntryProto>> {
    let names: Vec<String> = (0..classes)
        .map(|class| if model.task == Task::Answers { model.answer_name(class) } else { model.class_name(class) })
        .collect();
    let names = serde_json::to_string(&names).map_err(|e| Error::failed(format!("class names: {e}")))?;
    let columns: Vec<&str> = model.columns.iter().map(|scale| &*scale.name).collect();
    let pictures = match model.preparation() {
        Prepare::Digits => {
            "; a picture is made grey, light on dark, cropped, scaled to 20/28 of the sides and centred by its mass"
        }
        Prepare::Resize => "; a picture is resized",
        Prepare::Crop => "; a picture is cropped about its middle to the proportion of the sides, then resized",
        Prepare::Pad => {
            "; a picture is resized to fit into the sides, its proportion kept, and padded with black on both sides"
        }
    };
    let preprocessing = match columns.is_empty() {
        _ if model.translates() => {
            let read = model.tokenizer()?;
            let units = [read, model.target.as_ref().unwrap_or(read)].map(|tokens| tokens.unit().plural());
            let [read, written] = [model.input[0], model.written().unwrap_or(1)];
            let begin = model.target_vocabulary().saturating_sub(2);
            format!(
                "`input`: the numbers of {} of the text, 64-bit integers [N, {read}], -1 after its end; `target`: those of {} of \
                 the translation so far, [N, {written}], {begin} first, which begins it, and -1 after it; `wgrad` has both vocabularies",
                units[0], units[1]
            )
        }
        _ if model.text.is_some() => {
            let unit = model.tokenizer()?.unit().plural();
            let begin =
                model.document_ends().map(|[begin, _]| format!("{begin} first, which begins a document, then "));
            format!(
                "{}the numbers of {unit}, 64-bit integers [N, {}], -1 after a text's end; `wgrad` has the vocabulary",
                begin.unwrap_or_default(),
                model.input[0]
            )
        }
        true => format!("pixels 0 to 255 divided by 255, float, [N, channels, height, width]{pictures}"),
        false => format!("the columns {} as they are in the table, double, [N, columns]", columns.join(", ")),
    };
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
    let entries = [("preprocessing", preprocessing), ("class_names", names), (METADATA_KEY, model.to_json()?)];
    Ok(entries.map(entry).into())
}

/// A tensor whose first size is free.
fn value(name: &str, elem_type: i32, sizes: &[usize]) -> ValueInfoProto {
    let free = Size::Named("N".into());
    let sizes = std::iter::once(free).chain(sizes.iter().map(|&size| Size::Fixed(size as i64)));
    let shape = TensorShapeProto { dim: sizes.map(|size| Dimension { value: Some(size) }).collect() };
    let tensor = TensorType { elem_type, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

/// The messages of a graph.
struct Builder {
    graph: GraphProto,
    /// The name of the last result.
    last: String,
}

impl Builder {
    fn new(name: &str) -> Self {
        Builder { graph: GraphProto { name: name.into(), ..GraphProto::default() }, last: "input".into() }
    }

    fn add(&mut self, node: OnnxNode) {
        let OnnxNode { op, name, inputs, attributes, further } = node;
        let attribute = |(name, value): (&str, Attribute)| match value {
            Attribute::Int(value) => AttributeProto::int(name, value),
            Attribute::Ints(values) => AttributeProto::ints(name, &values),
            Attribute::Float(value) => AttributeProto::float(name, value),
            Attribute::Text(text) => AttributeProto::text(name, text),
            Attribute::Texts(texts) => AttributeProto::texts(name, &texts),
        };
        let attribute = attributes.into_iter().map(attribute).collect();
        let output = std::iter::once(name.clone()).chain(further).collect();
        self.graph.node.push(NodeProto { input: inputs, output, name, op_type: op.into(), attribute });
    }

    /// Adds a node that reads the last result, then a constant; its result has its name.
    fn then(&mut self, op: &'static str, name: &str, by: Option<&str>, attributes: Vec<(&'static str, Attribute)>) {
        let before = std::mem::replace(&mut self.last, name.into());
        let inputs = std::iter::once(before).chain(by.map(String::from)).collect();
        self.add(OnnxNode { op, name: name.into(), inputs, attributes, further: Vec::new() });
    }

    fn constant(&mut self, constant: &OnnxConstant) {
        let (data_type, raw_data) = match &constant.elements {
            Elements::Floats(values) => (FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Elements::Ints(values) => (INT64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        let dims = constant.shape.iter().map(|&size| size as i64).collect();
        self.graph.initializer.push(TensorProto { dims, data_type, name: constant.name.clone(), raw_data });
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        let elements = Elements::Floats(values);
        self.constant(&OnnxConstant { name: name.into(), shape: shape.into(), elements });
    }

    /// How many tokens each text of an input has: those of the vocabulary.
    fn lengths(&mut self, name: &str, input: &str, vocabulary: usize) -> String {
        let mut onnx = Onnx::new(name.into(), vec![input.into()], Vec::new(), Vec::new());
        let [least, most] = [("_least", -1), ("_most", vocabulary as i64)].map(|(name, x)| onnx.ints(name, vec![x]));
        let above = onnx.node("_above", "Greater", &[input, &least], &[]);
        let below = onnx.node("_below", "Less", &[input, &most], &[]);
        let both = onnx.node("_both", "And", &[&above, &below], &[]);
        let counts = onnx.node("_counts", "Cast", &[&both], &[("to", Attribute::Int(INT64.into()))]);
        let axis = onnx.ints("_axis", vec![1]);
        let lengths = onnx.node("", "ReduceSum", &[&counts, &axis], &[("keepdims", Attribute::Int(0))]);
        onnx.constants.iter().for_each(|constant| self.constant(constant));
        onnx.nodes.into_iter().for_each(|node| self.add(node));
        lengths
    }

    /// From a table's own numbers to standardised ones: in double precision, as large numbers that differ little need it.
    fn standardise(&mut self, columns: &[Scale]) {
        self.doubles("means", columns.iter().map(|scale| scale.mean));
        self.doubles("deviations", columns.iter().map(|scale| scale.deviation));
        self.then("Sub", "centred", Some("means"), Vec::new());
        self.then("Div", "standardised_double", Some("deviations"), Vec::new());
        self.then("Cast", "standardised", None, vec![("to", Attribute::Int(FLOAT.into()))]);
    }

    /// From standardised targets to numbers in their own units, in double precision.
    fn restore(&mut self, targets: &[Scale]) {
        self.doubles("target_deviations", targets.iter().map(|scale| scale.deviation));
        self.doubles("target_means", targets.iter().map(|scale| scale.mean));
        self.then("Cast", "numbers_double", None, vec![("to", Attribute::Int(DOUBLE.into()))]);
        self.then("Mul", "scaled_numbers", Some("target_deviations"), Vec::new());
        self.then("Add", "numbers", Some("target_means"), Vec::new());
    }

    fn doubles(&mut self, name: &str, values: impl ExactSizeIterator<Item = f64>) {
        let dims = vec![values.len() as i64];
        let raw_data = values.flat_map(f64::to_le_bytes).collect();
        self.graph.initializer.push(TensorProto { dims, data_type: DOUBLE, name: name.into(), raw_data });
    }

    /// From pixels / 255 to what the first layer reads: nothing, where that is it.
    fn normalise(&mut self, model: &Model) {
        let Model { normalisation, normalise, .. } = model;
        if *normalisation != Normalisation::default() {
            self.floats("scale", &[], vec![(f64::from(normalisation.scale) * 255.0) as f32]);
            self.floats("shift", &[], vec![normalisation.shift]);
            self.then("Mul", "scaled", Some("scale"), Vec::new());
            self.then("Add", "normalised", Some("shift"), Vec::new());
        }
        if let Some(norm) = normalise {
            let channels = norm.mean.len();
            let all = |at: usize| (0..channels).map(|channel| norm.of(channel)[at]).collect();
            self.floats("channel_scale", &[channels, 1, 1], all(0));
            self.floats("channel_shift", &[channels, 1, 1], all(1));
            self.then("Mul", "channels_scaled", Some("channel_scale"), Vec::new());
            self.then("Add", "channels_normalised", Some("channel_shift"), Vec::new());
        }
    }
}
