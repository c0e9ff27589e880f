//! A trained model as ONNX: input `input` [N, channels, height, width], pixels / 255; output `probabilities` [N, classes].

mod proto;

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::model::formats::weights::METADATA_KEY;
use crate::model::{Layer, Model, Normalisation};
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::{Function, With};
use crate::train::predict::TrainedModel;
use prost::Message;
use proto::*;
use std::path::Path;

/// The most bytes that a message of protocol buffers may have.
const LARGEST_BYTES: usize = i32::MAX as usize;

impl TrainedModel {
    /// The model as ONNX, opset 17. N is free. The metadata holds `preprocessing`, `class_names` (a JSON list) and `wgrad`
    /// (the description of the model in weight files).
    ///
    /// # Errors
    /// [`Error::Input`] where weights and model do not fit, and where they are more than the 2 GiB that the format holds.
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
        let [height, width, channels] = model.input;
        let classes = model.classes()?;
        let output = if model.is_segmentation()? { vec![classes, height, width] } else { vec![classes] };
        let mut graph = Builder::new(&model.name);
        graph.normalise(&model.normalisation);
        let mut shape = model.input.to_vec();
        let mut results: Vec<String> = Vec::new();
        for (index, (layer, inferred)) in model.layers.iter().zip(model.infer()?).enumerate() {
            let params = inferred.params.iter().map(|p| p.name.clone());
            let more = layer.other(index, &results)?.cloned().into_iter().chain(params).collect();
            graph.layer(index, layer, &shape, more)?;
            results.push(graph.last.clone());
            shape = inferred.shape;
        }
        graph.node("Softmax", "probabilities", Vec::new(), vec![AttributeProto::int("axis", 1)]);
        for tensor in &self.weights.tensors {
            graph.constant(&tensor.name, &tensor.shape, &tensor.values);
        }
        let mut graph = graph.graph;
        graph.input = vec![value("input", &[channels, height, width])];
        graph.output = vec![value("probabilities", &output)];
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
    let names: Vec<String> = (0..classes).map(|class| model.class_name(class)).collect();
    let names = serde_json::to_string(&names).map_err(|e| Error::failed(format!("class names: {e}")))?;
    let pictures = match model.input[2] {
        1 => "; a picture is made grey, light on dark, cropped, scaled to 20/28 of the sides and centred by its mass",
        _ => "; a picture is resized",
    };
    let preprocessing = format!("pixels 0 to 255 divided by 255, float, [N, channels, height, width]{pictures}");
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
    let entries = [("preprocessing", preprocessing), ("class_names", names), (METADATA_KEY, model.to_json()?)];
    Ok(entries.map(entry).into())
}

/// A float tensor whose first size is free.
fn value(name: &str, sizes: &[usize]) -> ValueInfoProto {
    let free = Size::Named("N".into());
    let sizes = std::iter::once(free).chain(sizes.iter().map(|&size| Size::Fixed(size as i64)));
    let shape = TensorShapeProto { dim: sizes.map(|size| Dimension { value: Some(size) }).collect() };
    let tensor = TensorType { elem_type: FLOAT, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

/// Nodes one behind the other.
struct Builder {
    graph: GraphProto,
    last: String,
}

impl Builder {
    fn new(name: &str) -> Self {
        Builder { graph: GraphProto { name: name.into(), ..GraphProto::default() }, last: "input".into() }
    }

    /// Adds a node that reads the last result, then `more`; its result has its name.
    fn node(&mut self, op: &str, name: &str, more: Vec<String>, attribute: Vec<AttributeProto>) {
        let before = std::mem::replace(&mut self.last, name.into());
        let input = std::iter::once(before).chain(more).collect();
        let (op_type, output) = (op.into(), vec![name.into()]);
        self.graph.node.push(NodeProto { input, output, name: name.into(), op_type, attribute });
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let dims = shape.iter().map(|&size| size as i64).collect();
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto { dims, data_type: FLOAT, name: name.into(), raw_data });
    }

    /// From pixels / 255 to what the first layer reads: nothing, where that is it.
    fn normalise(&mut self, normalisation: &Normalisation) {
        if *normalisation == Normalisation::default() {
            return;
        }
        self.constant("scale", &[], &[(f64::from(normalisation.scale) * 255.0) as f32]);
        self.constant("shift", &[], &[normalisation.shift]);
        self.node("Mul", "scaled", vec!["scale".into()], Vec::new());
        self.node("Add", "normalised", vec!["shift".into()], Vec::new());
    }

    /// Adds the operators of an activation one behind the other; the last one's result has the layer's name.
    fn activation(&mut self, name: &str, function: Function, slope: f32) {
        let argument = self.last.clone();
        let steps = function.onnx();
        for (step, &(op, with)) in steps.iter().enumerate() {
            let own = if step + 1 == steps.len() { name.into() } else { format!("{name}_{step}") };
            let (more, attributes) = match with {
                With::Alone => (Vec::new(), Vec::new()),
                With::Argument => (vec![argument.clone()], Vec::new()),
                With::SlopeAs(attribute) => (Vec::new(), vec![AttributeProto::float(attribute, slope)]),
                With::Number(number) => {
                    let constant = format!("{own}_by");
                    self.constant(&constant, &[], &[number]);
                    (vec![constant], Vec::new())
                }
            };
            self.node(op, &own, more, attributes);
        }
    }

    /// Adds a layer for one sample of the shape `input`: [H, W, C] or `[features]`. `params` are what it reads besides the
    /// last result.
    fn layer(&mut self, index: usize, layer: &Layer, input: &[usize], params: Vec<String>) -> Result<()> {
        let name = format!("{index}_{}", layer.type_name());
        match (layer, input) {
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, &[h, w, c]) => {
                let Some((conv, kernel, filters)) = layer.grouped(c) else { return Ok(()) };
                let s = conv.sizes([1, h, w, c], kernel, filters).map_err(Error::input)?;
                let (g, [dh, dw]) = (s.g, s.dilation);
                let after = |places: usize, stride: usize, window: usize, size: usize, before: usize| {
                    ((places - 1) * stride + window).saturating_sub(size + before)
                };
                let (tall, wide) = ((g.kh - 1) * dh + 1, (g.kw - 1) * dw + 1);
                let (bottom, right) = (after(g.oh, g.sh, tall, h, g.pt), after(g.ow, g.sw, wide, w, g.pl));
                let mut attributes = vec![
                    AttributeProto::ints("kernel_shape", &kernel),
                    AttributeProto::ints("strides", &conv.stride),
                    AttributeProto::ints("pads", &[g.pt, g.pl, bottom, right]),
                ];
                if conv.dilation != [1, 1] {
                    attributes.push(AttributeProto::ints("dilations", &conv.dilation));
                }
                if conv.groups != 1 {
                    attributes.push(AttributeProto::int("group", conv.groups as i64));
                }
                self.node("Conv", &name, params, attributes);
            }
            (&Layer::ConvTranspose2d { kernel, stride, padding, .. }, _) => {
                // What the result is cropped by, at the start and at the end, and what is added there instead.
                let crop = |axis: usize| match padding {
                    Padding::Valid => [0; 3],
                    Padding::Same => {
                        let cropped = kernel[axis].saturating_sub(stride[axis]);
                        [cropped / 2, cropped - cropped / 2, stride[axis].saturating_sub(kernel[axis])]
                    }
                };
                let [[top, bottom, below], [left, right, beside]] = [0, 1].map(crop);
                let attributes = vec![
                    AttributeProto::ints("kernel_shape", &kernel),
                    AttributeProto::ints("strides", &stride),
                    AttributeProto::ints("pads", &[top, left, bottom, right]),
                    AttributeProto::ints("output_padding", &[below, beside]),
                ];
                self.node("ConvTranspose", &name, params, attributes);
            }
            (Layer::MaxPool2d { size, stride } | Layer::AvgPool2d { size, stride }, _) => {
                let attributes =
                    vec![AttributeProto::ints("kernel_shape", size), AttributeProto::ints("strides", stride)];
                let op = if matches!(layer, Layer::MaxPool2d { .. }) { "MaxPool" } else { "AveragePool" };
                self.node(op, &name, params, attributes);
            }
            (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {}, _) => {
                let op = if *layer == (Layer::GlobalMaxPool2d {}) { "GlobalMaxPool" } else { "GlobalAveragePool" };
                self.node(op, &format!("{name}_pooled"), params, Vec::new());
                self.node("Flatten", &name, Vec::new(), vec![AttributeProto::int("axis", 1)]);
            }
            // Its parameters are in ONNX's order: scale, B, mean, variance.
            (&Layer::BatchNorm { epsilon, .. }, _) => {
                self.node("BatchNormalization", &name, params, vec![AttributeProto::float("epsilon", epsilon as f32)]);
            }
            // Over the channels, which ONNX has in the second axis.
            (&Layer::LayerNorm { epsilon }, &[_, _, _]) => {
                let order = |axes: [usize; 4]| vec![AttributeProto::ints("perm", &axes)];
                self.node("Transpose", &format!("{name}_before"), Vec::new(), order([0, 2, 3, 1]));
                let attributes =
                    vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", epsilon as f32)];
                self.node("LayerNormalization", &format!("{name}_normal"), params, attributes);
                self.node("Transpose", &name, Vec::new(), order([0, 3, 1, 2]));
            }
            (&Layer::LayerNorm { epsilon }, _) => {
                let attributes =
                    vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", epsilon as f32)];
                self.node("LayerNormalization", &name, params, attributes);
            }
            (Layer::Relu {}, _) => self.node("Relu", &name, params, Vec::new()),
            // N, C, H, W: the features come out in the order C, H, W, as they do here.
            (Layer::Flatten {}, _) => self.node("Flatten", &name, params, vec![AttributeProto::int("axis", 1)]),
            (Layer::Dense { .. }, _) => self.node("Gemm", &name, params, vec![AttributeProto::int("transB", 1)]),
            (&Layer::Activation { function, slope }, _) => self.activation(&name, function, slope),
            (&Layer::Upsample2d { factor: [fh, fw] }, _) => {
                let scales = format!("{name}_scales");
                self.constant(&scales, &[4], &[1.0, 1.0, fh as f32, fw as f32]);
                // The second argument, a region, is left out; an output pixel reads the one that it lies in.
                let attributes = vec![
                    AttributeProto::text("mode", "nearest"),
                    AttributeProto::text("coordinate_transformation_mode", "asymmetric"),
                    AttributeProto::text("nearest_mode", "floor"),
                ];
                self.node("Resize", &name, vec![String::new(), scales], attributes);
            }
            (Layer::Add { .. }, _) => self.node("Add", &name, params, Vec::new()),
            // N, C, H, W, or N, features.
            (Layer::Concat { .. }, _) => self.node("Concat", &name, params, vec![AttributeProto::int("axis", 1)]),
            // Nothing in inference.
            (Layer::Dropout { .. }, _) => {}
            (Layer::Custom(_), _) => return Err(Error::input(format!("layer {name}: it has no form in ONNX"))),
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, _) => {
                return Err(Error::input(format!("layer {name}: found no image")));
            }
        }
        Ok(())
    }
}
