//! The model file: strict TOML, read with the line of whatever is wrong.

use crate::error::{Error, Result};
use crate::model::layers::{EPSILON, LARGEST, MOMENTUM};
use crate::model::{Layer, Model, Normalisation};
use crate::model::{default_inputs, in_context};
use crate::near;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most bytes that a model file may have.
pub const LARGEST_FILE_BYTES: u64 = 1 << 20;

impl Model {
    /// The model that a file describes, named by the file's stem.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be read or is larger than [`LARGEST_FILE_BYTES`], and as
    /// [`Model::from_toml`].
    pub fn from_toml_file(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let unreadable = |why: &dyn std::fmt::Display| Error::input(format!("{file}: cannot be read: {why}"));
        let mut bytes = Vec::new();
        // The limit holds for what is read, since a pipe or a device has no length to ask for.
        let source = std::fs::File::open(path).map_err(|e| unreadable(&e))?;
        source.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
        if bytes.len() as u64 > LARGEST_FILE_BYTES {
            let expected = format!("expected a model file of at most {LARGEST_FILE_BYTES} bytes");
            return Err(Error::input(format!("{file}: found more than {LARGEST_FILE_BYTES} bytes, {expected}")));
        }
        let text = String::from_utf8(bytes).map_err(|e| unreadable(&e.utf8_error()))?;
        let name = path.file_stem().map_or_else(|| file.clone(), |stem| stem.to_string_lossy().into_owned());
        Model::from_toml(&text, &file, &name)
    }

    /// The model that `text` describes, with the default normalisation and no class names; `file` is what
    /// messages call the text.
    ///
    /// # Errors
    /// [`Error::Input`] with the line of malformed TOML, unknown or missing keys, values of another type or
    /// out of range, and layers that do not fit; and where [`Model::check`] fails.
    pub fn from_toml(text: &str, file: &str, name: &str) -> Result<Self> {
        let source = Source { text, file };
        let document = DeTable::parse(text)
            .map_err(|error| source.error(error.span().unwrap_or(0..0), &error.message().replace('\n', " ")))?;
        let root = Section { source, table: document.get_ref(), at: 0..0, name: "the model".into() };
        root.only(&["input", "inputs", "layers"])?;
        let input = match root.sizes("input")?[..] {
            [height, width, channels] => [height, width, channels],
            _ => return Err(root.wrong("input", "[height, width, channels]")),
        };
        let inputs = root.inputs()?;
        let listed = root.required("layers")?.get_ref().as_array();
        let listed = listed.ok_or_else(|| root.wrong("layers", "a list, each entry begun by [[layers]]"))?;
        let mut shape = input.to_vec();
        let (mut layers, mut shapes, mut names) = (Vec::new(), Vec::<Vec<usize>>::new(), BTreeMap::new());
        for (index, entry) in listed.iter().enumerate() {
            let Some(table) = entry.get_ref().as_table() else {
                return Err(root.wrong("layers", "a list of tables, each begun by [[layers]]"));
            };
            let mut section = Section { source, table, at: entry.span(), name: format!("layer {index}") };
            let layer = section.layer(&names)?;
            if let Some(name) = section.given_name(&names)? {
                names.insert(name, index);
            }
            let other = layer.joins().and_then(|from| shapes.get(from)).map(|shape| &shape[..]);
            let inferred = layer.infer_joined(index, &shape, other);
            shape = inferred.map_err(|e| source.error(entry.span(), &e.to_string()))?.shape;
            shapes.push(shape.clone());
            layers.push(layer);
        }
        let normalisation = Normalisation::default();
        let model = Model { name: name.into(), input, layers, normalisation, class_names: Vec::new(), inputs };
        model.check().map_err(|error| in_context(file, error))?;
        Ok(model)
    }

    /// The model file of this model's input and layers. A layer of an application's own appears by its name alone, and
    /// cannot be read again.
    pub fn to_toml(&self) -> String {
        let mut text = format!("input = {:?}\n", self.input);
        if self.inputs != default_inputs() {
            let _ = writeln!(text, "inputs = {:?}", self.inputs);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let name = layer.type_name();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n[[layers]]\ntype = \"{name}\"\n");
            // Names that users gave are not kept, only what they stand for.
            if self.layers.iter().any(|later| later.joins() == Some(index)) {
                let _ = writeln!(text, "name = \"layer {index}\"");
            }
            let _ = match layer {
                Layer::Conv2d { filters, kernel, stride, padding, dilation, groups } => {
                    let _ = write!(text, "filters = {filters}\n{}", window(kernel, stride, *padding));
                    if *dilation != [1, 1] {
                        let _ = writeln!(text, "dilation = {dilation:?}");
                    }
                    if *groups != 1 {
                        let _ = writeln!(text, "groups = {groups}");
                    }
                    Ok(())
                }
                Layer::DepthwiseConv2d { kernel, stride, padding, dilation, multiplier } => {
                    let window = window(kernel, stride, *padding);
                    write!(text, "{window}dilation = {dilation:?}\nmultiplier = {multiplier}\n")
                }
                Layer::ConvTranspose2d { filters, kernel, stride, padding } => {
                    write!(text, "filters = {filters}\n{}", window(kernel, stride, *padding))
                }
                Layer::MaxPool2d { size, stride } | Layer::AvgPool2d { size, stride } => {
                    write!(text, "size = {size:?}\nstride = {stride:?}\n")
                }
                Layer::Upsample2d { factor } => writeln!(text, "factor = {factor:?}"),
                Layer::Dense { units } => writeln!(text, "units = {units}"),
                // As Rust's Debug writes it, a number always reads as a float.
                Layer::LayerNorm { epsilon } => writeln!(text, "epsilon = {epsilon:?}"),
                Layer::BatchNorm { epsilon, momentum } => {
                    write!(text, "epsilon = {epsilon:?}\nmomentum = {momentum:?}\n")
                }
                Layer::Add { from } | Layer::Concat { from } => writeln!(text, "from = \"layer {from}\""),
                Layer::Dropout { rate } => writeln!(text, "rate = {rate:?}"),
                Layer::Activation { function, slope } if function.slope().is_some() => {
                    writeln!(text, "slope = {slope:?}")
                }
                Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {} => Ok(()),
                Layer::Relu {} | Layer::Flatten {} | Layer::Activation { .. } | Layer::Custom(_) => Ok(()),
            };
        }
        text
    }
}

/// The lines of a convolution's window.
fn window(kernel: &[usize; 2], stride: &[usize; 2], padding: Padding) -> String {
    let padding = match padding {
        Padding::Valid => "valid",
        Padding::Same => "same",
    };
    format!("kernel = {kernel:?}\nstride = {stride:?}\npadding = \"{padding}\"\n")
}

#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn error(&self, at: Range<usize>, why: &str) -> Error {
        let line = 1 + self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
        Error::input(format!("{}: line {line}: {why}", self.file))
    }
}

/// One table of the file: the root or a layer.
struct Section<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    at: Range<usize>,
    name: String,
}

impl<'a> Section<'a> {
    fn error(&self, at: Range<usize>, why: &str) -> Error {
        self.source.error(at, &format!("{}: {why}", self.name))
    }

    /// The error that the value of `key` is not what is expected.
    fn wrong(&self, key: &str, expected: &str) -> Error {
        match self.table.get(key) {
            Some(value) => {
                let found = describe(value.get_ref());
                self.error(value.span(), &format!("found {key} = {found}, expected {expected}"))
            }
            None => self.error(self.at.clone(), &format!("found no key {key}, expected {expected}")),
        }
    }

    fn only(&self, known: &[&str]) -> Result<()> {
        let unknown = self.table.keys().filter(|key| !known.contains(&&**key.get_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(()),
            Some(key) => {
                let found = key.get_ref();
                let hint = near::hint(found, known.iter().copied());
                let why = format!("found unknown key {}, expected {}{hint}", shorten(found), known.join(", "));
                Err(self.error(key.span(), &why))
            }
        }
    }

    fn required(&self, key: &str) -> Result<&'a Spanned<DeValue<'a>>> {
        self.table.get(key).ok_or_else(|| self.wrong(key, "it to be there"))
    }

    fn layer(&mut self, names: &BTreeMap<String, usize>) -> Result<Layer> {
        const NAMES: [&str; 16] = [
            "conv2d",
            "relu",
            "max_pool2d",
            "avg_pool2d",
            "global_avg_pool2d",
            "global_max_pool2d",
            "batch_norm",
            "layer_norm",
            "flatten",
            "dense",
            "dropout",
            "add",
            "concat",
            "upsample2d",
            "conv_transpose2d",
            "depthwise_conv2d",
        ];
        let known_types: Vec<&str> =
            NAMES.into_iter().chain(Function::ALL.iter().map(|function| function.name())).collect();
        let quoted: Vec<String> = known_types.iter().map(|name| format!("\"{name}\"")).collect();
        let (last, others) = quoted.split_last().map_or(("", &[][..]), |(last, others)| (&last[..], others));
        let types = format!("{} or {last}", others.join(", "));
        let kind = self.table.get("type").and_then(|kind| kind.get_ref().as_str());
        let kind = kind.ok_or_else(|| self.wrong("type", &types))?;
        let known: &[&str] = match kind {
            "conv2d" => &["type", "filters", "kernel", "stride", "padding", "dilation", "groups"],
            "depthwise_conv2d" => &["type", "kernel", "stride", "padding", "dilation", "multiplier"],
            "conv_transpose2d" => &["type", "filters", "kernel", "stride", "padding"],
            "max_pool2d" | "avg_pool2d" => &["type", "size", "stride"],
            "dense" => &["type", "units"],
            "batch_norm" => &["type", "epsilon", "momentum"],
            "layer_norm" => &["type", "epsilon"],
            "relu" | "global_avg_pool2d" | "global_max_pool2d" | "flatten" => &["type"],
            "dropout" => &["type", "rate"],
            "add" | "concat" => &["type", "from"],
            "upsample2d" => &["type", "factor"],
            _ => match Function::named(kind).map(Function::slope) {
                Some(Some(_)) => &["type", "slope"],
                Some(None) => &["type"],
                None => {
                    let hint = near::hint(kind, known_types.iter().copied());
                    return Err(self.wrong("type", &format!("{types}{hint}")));
                }
            },
        };
        self.name = format!("{} ({kind})", self.name);
        self.only(&[known, &["name"]].concat())?;
        match kind {
            "conv2d" => {
                let (filters, kernel) = (self.size("filters")?, self.pair("kernel", None)?);
                Ok(Layer::Conv2d {
                    filters,
                    kernel,
                    stride: self.pair("stride", Some([1, 1]))?,
                    padding: self.padding()?,
                    dilation: self.pair("dilation", Some([1, 1]))?,
                    groups: self.size_or("groups", 1)?,
                })
            }
            "depthwise_conv2d" => Ok(Layer::DepthwiseConv2d {
                kernel: self.pair("kernel", None)?,
                stride: self.pair("stride", Some([1, 1]))?,
                padding: self.padding()?,
                dilation: self.pair("dilation", Some([1, 1]))?,
                multiplier: self.size_or("multiplier", 1)?,
            }),
            "conv_transpose2d" => Ok(Layer::ConvTranspose2d {
                filters: self.size("filters")?,
                kernel: self.pair("kernel", None)?,
                stride: self.pair("stride", Some([1, 1]))?,
                padding: self.padding()?,
            }),
            "max_pool2d" | "avg_pool2d" => {
                let size = self.pair("size", None)?;
                let stride = self.pair("stride", Some(size))?;
                Ok(if kind == "max_pool2d" {
                    Layer::MaxPool2d { size, stride }
                } else {
                    Layer::AvgPool2d { size, stride }
                })
            }
            "global_avg_pool2d" => Ok(Layer::GlobalAvgPool2d {}),
            "global_max_pool2d" => Ok(Layer::GlobalMaxPool2d {}),
            "layer_norm" => Ok(Layer::LayerNorm { epsilon: self.real("epsilon", 1e-5, |e| e > 0.0, EPSILON)? }),
            "batch_norm" => Ok(Layer::BatchNorm {
                epsilon: self.real("epsilon", 1e-5, |e| e > 0.0, EPSILON)?,
                momentum: self.real("momentum", 0.1, |m| (0.0..=1.0).contains(&m), MOMENTUM)?,
            }),
            "dense" => Ok(Layer::Dense { units: self.size("units")? }),
            "upsample2d" => Ok(Layer::Upsample2d { factor: self.pair("factor", None)? }),
            "add" => Ok(Layer::Add { from: self.earlier(names)? }),
            "concat" => Ok(Layer::Concat { from: self.earlier(names)? }),
            "dropout" => Ok(Layer::Dropout { rate: self.number("rate", None)? }),
            "relu" => Ok(Layer::Relu {}),
            "flatten" => Ok(Layer::Flatten {}),
            _ => match Function::named(kind) {
                Some(function) => {
                    Ok(Layer::Activation { function, slope: self.number("slope", function.slope().or(Some(0.0)))? })
                }
                None => Err(self.wrong("type", &types)),
            },
        }
    }

    /// The names of the fields that the model reads, where they are given.
    fn inputs(&self) -> Result<Vec<String>> {
        let Some(value) = self.table.get("inputs") else { return Ok(default_inputs()) };
        let list = value.get_ref().as_array();
        let names: Option<Vec<String>> =
            list.and_then(|list| list.iter().map(|name| name.get_ref().as_str().map(str::to_owned)).collect());
        names.filter(|names| names.len() == 1).ok_or_else(|| self.wrong("inputs", "a list of the name of one field"))
    }

    /// The name that a layer bears, which none before it may have.
    fn given_name(&self, names: &BTreeMap<String, usize>) -> Result<Option<String>> {
        let Some(value) = self.table.get("name") else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(name) if !name.is_empty() && !names.contains_key(name) => Ok(Some(name.into())),
            _ => Err(self.wrong("name", "a text that names no layer before")),
        }
    }

    /// The place of the earlier layer whose name `from` says.
    fn earlier(&self, names: &BTreeMap<String, usize>) -> Result<usize> {
        let found = self.table.get("from").and_then(|value| value.get_ref().as_str());
        if let Some(place) = found.and_then(|found| names.get(found)) {
            return Ok(*place);
        }
        let hint = found.map_or(String::new(), |found| near::hint(found, names.keys().map(|name| &name[..])));
        Err(self.wrong("from", &format!("the name of an earlier layer{hint}")))
    }

    fn padding(&self) -> Result<Padding> {
        let value = self.table.get("padding").map(|value| value.get_ref().as_str());
        match value {
            None | Some(Some("valid")) => Ok(Padding::Valid),
            Some(Some("same")) => Ok(Padding::Same),
            Some(_) => Err(self.wrong("padding", "\"valid\" or \"same\"")),
        }
    }

    /// A finite number that `fits`.
    fn real(&self, key: &str, default: f64, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64> {
        let Some(value) = self.table.get(key) else { return Ok(default) };
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        number.filter(|&x| x.is_finite() && fits(x)).ok_or_else(|| self.wrong(key, expected))
    }

    /// A size, where it is given.
    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.table.contains_key(key) { self.size(key) } else { Ok(default) }
    }

    fn size(&self, key: &str) -> Result<usize> {
        let value = self.table.get(key).and_then(|value| whole(value.get_ref()));
        value.ok_or_else(|| self.wrong(key, &format!("a whole number from 1 to {LARGEST}")))
    }

    /// A finite number.
    fn number(&self, key: &str, default: Option<f32>) -> Result<f32> {
        let Some(value) = self.table.get(key) else { return default.ok_or_else(|| self.wrong(key, "a finite number")) };
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f32>().ok(),
            other => other.as_integer().and_then(|number| number.as_str().replace('_', "").parse().ok()),
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| self.wrong(key, "a finite number"))
    }

    /// A list of sizes.
    fn sizes(&self, key: &str) -> Result<Vec<usize>> {
        let list = self.table.get(key).and_then(|value| value.get_ref().as_array());
        let sizes: Option<Vec<usize>> = list.and_then(|list| list.iter().map(|size| whole(size.get_ref())).collect());
        sizes.ok_or_else(|| self.wrong(key, &format!("a list of whole numbers from 1 to {LARGEST}")))
    }

    /// A size for both axes, or [rows, columns].
    fn pair(&self, key: &str, default: Option<[usize; 2]>) -> Result<[usize; 2]> {
        let expected = format!("n or [h, w], each from 1 to {LARGEST}");
        match (self.table.get(key).map(Spanned::get_ref), default) {
            (None, Some(default)) => Ok(default),
            (Some(DeValue::Array(_)), _) => {
                let sizes = self.sizes(key).ok().and_then(|sizes| <[usize; 2]>::try_from(sizes).ok());
                sizes.ok_or_else(|| self.wrong(key, &expected))
            }
            (value, _) => {
                let size = value.and_then(whole).ok_or_else(|| self.wrong(key, &expected))?;
                Ok([size; 2])
            }
        }
    }
}

/// A whole number from 1 to `LARGEST`.
fn whole(value: &DeValue) -> Option<usize> {
    let number = value.as_integer()?;
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
    usize::try_from(number).ok().filter(|size| (1..=LARGEST).contains(size))
}

/// A value as a message shows it.
fn describe(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        DeValue::Integer(number) => shorten(&number.to_string()),
        DeValue::Float(number) => shorten(&number.to_string()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(list) if list.len() <= 4 => {
            let items: Vec<String> = list.iter().map(|item| shorten(&describe(item.get_ref()))).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Array(list) => format!("a list of {}", list.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

/// At most 60 letters of a text, on one line.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string().replace("\\\"", "\"")
}
