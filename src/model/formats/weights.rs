//! Weights on the host and in safetensors files, under PyTorch's names, shapes and order.

use crate::error::{Error, Result, in_context};
use crate::files::write_whole;
use crate::ir::graph::{Graph, Layout, Param, Tensor};
use crate::model::Model;
use crate::model::formats::sealed;
pub use crate::model::formats::tensor::NamedTensor;
use crate::model::layers::params::ParamSpec;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The one metadata key of a file that wgrad writes: the canonical JSON of the model.
pub const METADATA_KEY: &str = "wgrad";

/// The prefix of the names of the optimizer's tensors in a checkpoint.
pub const OPTIMIZER_PREFIX: &str = "optimizer.";

/// The prefix of the names of the states in a checkpoint that recurrences carry to the next step.
pub const CARRIED_PREFIX: &str = "carried.";

/// The state of the optimizer that is the average of the weights, with a tensor for every one of them.
pub const EMA: &str = "ema";

/// The count of batches that PyTorch keeps beside running statistics: nothing here depends on it.
const COUNT: &str = "num_batches_tracked";

/// Endings of names of other whole numbers beside its weights: the numbers of places, masks of what comes later.
const BUFFERS: [&str; 3] = ["position_ids", ".attn.bias", ".attn.masked_bias"];

/// The longest header that the format allows, in bytes.
const LARGEST_HEADER_BYTES: u64 = 100_000_000;

/// Tensors by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The tensors: in the order of the model where they were made, in that of the file where they were read.
    pub tensors: Vec<NamedTensor>,
}

/// The model that a file describes, if it does, and its weights.
pub type Described = (Option<Model>, Weights);

impl Weights {
    /// Weights of these tensors.
    pub fn new(tensors: Vec<NamedTensor>) -> Self {
        Weights { tensors }
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Whether these are the model's parameters, all of them, in their shapes, and nothing else.
    ///
    /// # Errors
    /// [`Error::Input`] that lists every tensor that is missing, has another shape, or is one too many.
    pub fn check_against(&self, model: &Model) -> Result<()> {
        let params = model.params()?;
        let present: HashSet<&str> = self.tensors.iter().map(|tensor| &*tensor.name).collect();
        let missing = params.iter().map(|p| &p.name).filter(|name| !present.contains(&***name));
        let missing: Vec<String> = missing.cloned().collect();
        let mut wrong = self.strangers(&params);
        if !missing.is_empty() {
            wrong.insert(0, format!("missing tensors: {}", missing.join(", ")));
        }
        fits(model, &wrong)
    }

    /// Whether these are parameters of the model in their shapes, if not all of them.
    ///
    /// # Errors
    /// [`Error::Input`] that lists every tensor that has another shape or is one too many.
    pub fn check_part_of(&self, model: &Model) -> Result<()> {
        fits(model, &self.strangers(&model.params()?))
    }

    /// The error in the tensors of a file.
    fn strangers(&self, params: &[ParamSpec]) -> Vec<String> {
        // By name, since a net may have many thousand layers; of a name that comes twice the first counts.
        let first: HashMap<&str, &NamedTensor> = self.tensors.iter().rev().map(|t| (&*t.name, t)).collect();
        let other = params.iter().filter_map(|p| {
            let found = first.get(&*p.name)?;
            let fits = found.shape == p.file_shape && found.values.len() == p.elements();
            (!fits).then(|| format!("found {} of shape {:?}, expected {:?}", p.name, found.shape, p.file_shape))
        });
        let mut wrong: Vec<String> = other.collect();
        let names: HashSet<&str> = params.iter().map(|p| &*p.name).collect();
        // A name that comes twice is one too many, too.
        let known = |t: &NamedTensor| {
            names.contains(&*t.name) && first.get(&*t.name).is_some_and(|first| std::ptr::eq(*first, t))
        };
        let extra = self.tensors.iter().filter(|t| !known(t));
        let extra: Vec<String> = extra.map(|t| t.name.escape_debug().to_string()).collect();
        if !extra.is_empty() {
            wrong.push(format!("extra tensors: {}", extra.join(", ")));
        }
        wrong
    }

    /// The first tensor with NaN or infinity, in words; `None` if all values are finite.
    pub fn wild(&self) -> Option<String> {
        let wild = |t: &&NamedTensor| !t.values.iter().all(|value| value.is_finite());
        self.tensors.iter().find(wild).map(|t| {
            let count = t.values.iter().filter(|value| !value.is_finite()).count();
            format!("NaN or infinity in {count} of {} values of {}", t.values.len(), t.name.escape_debug())
        })
    }

    /// Every parameter of the graph with its elements in the order of its memory.
    ///
    /// # Errors
    /// [`Error::Input`] if a parameter is missing or has another shape.
    pub fn to_graph(&self, graph: &Graph) -> Result<Vec<(Tensor, Vec<f32>)>> {
        let tensors: HashMap<&str, &NamedTensor> = self.tensors.iter().rev().map(|t| (&*t.name, t)).collect();
        let one = |param: &Param| Ok((param.tensor, in_memory(tensors.get(&*param.name).copied(), param)?));
        graph.params.iter().map(one).collect()
    }

    /// The elements of one parameter of a graph, in the order of its memory.
    ///
    /// # Errors
    /// [`Error::Input`] if it is missing or has another shape.
    pub fn to_param(&self, param: &Param) -> Result<Vec<f32>> {
        in_memory(self.get(&param.name), param)
    }

    /// Parameters of a graph as the weight file has them, each with its elements in the order of its memory.
    ///
    /// # Errors
    /// [`Error::Failed`] if one has another number of elements.
    pub fn from_params<'a>(params: impl IntoIterator<Item = (&'a Param, &'a [f32])>) -> Result<Self> {
        let one = |(param, values): (&Param, &[f32])| {
            let values = to_file(&param.layout, values).map_err(|error| in_context(&param.name, error))?;
            Ok(NamedTensor { name: param.name.clone(), shape: param.file_shape.0.clone(), values })
        };
        Ok(Weights::new(params.into_iter().map(one).collect::<Result<_>>()?))
    }

    /// The bytes of the safetensors file: the same for the same model and weights, wherever and whenever.
    ///
    /// # Errors
    /// [`Error::Input`] if the weights are not the model's.
    pub fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        self.check_against(model)?;
        let metadata = HashMap::from([(METADATA_KEY.to_string(), model.to_json()?)]);
        to_safetensors(&self.tensors, Some(metadata))
    }

    /// A safetensors file of these tensors, without a model.
    ///
    /// # Errors
    /// [`Error::Failed`] if it cannot be written.
    pub fn bare_bytes(&self) -> Result<Vec<u8>> {
        to_safetensors(&self.tensors, None)
    }

    /// Writes a safetensors file, whole or not at all, as [`write_whole`] does.
    ///
    /// # Errors
    /// [`Error::Input`] if the weights are not the model's or the file cannot be created,
    /// [`Error::Failed`] if it cannot be completed.
    pub fn save(&self, path: &Path, model: &Model) -> Result<()> {
        write_whole(path, &self.to_bytes(model)?)
    }

    /// Reads a safetensors file of 32-bit floats, and the model that describes itself in it; a file from
    /// elsewhere has none. Of a checkpoint, whose digest is checked, it takes the weights alone: their average, where
    /// one was kept.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be read, is not whole, holds other types of elements, or
    /// describes its model otherwise than wgrad does.
    pub fn load(path: &Path) -> Result<(Option<Model>, Weights)> {
        Ok(Weights::load_any(path)?.0)
    }

    /// `load`, and the types of elements that became 32-bit floats, with the number of tensors of each.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load_any(path: &Path) -> Result<(Described, BTreeMap<String, usize>)> {
        let file = in_run(path);
        read(&file).map_err(|error| in_context(&file.display().to_string(), error))
    }
}

/// The bytes of a safetensors file of these tensors.
pub(super) fn to_safetensors(tensors: &[NamedTensor], metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let failed = |error| Error::failed(format!("the weights cannot be stored: {error}"));
    let bytes = |t: &NamedTensor| t.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<Vec<u8>> = tensors.iter().map(bytes).collect();
    let mut views = Vec::new();
    for (tensor, data) in tensors.iter().zip(&data) {
        views.push((&tensor.name, TensorView::new(Dtype::F32, tensor.shape.clone(), data).map_err(failed)?));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}

/// The weights that a run left, where this is its folder; else the path as it is.
pub fn in_run(path: &Path) -> PathBuf {
    let file = path.join("model.safetensors");
    if path.is_dir() && file.is_file() { file } else { path.into() }
}

/// The elements of a parameter in the order of its memory, from the tensor of its name.
fn in_memory(found: Option<&NamedTensor>, param: &Param) -> Result<Vec<f32>> {
    let found = found.filter(|found| found.shape == param.file_shape.0);
    let expected = || Error::input(format!("found no {} {}, expected it", param.name, param.file_shape));
    let values = to_memory(&param.layout, &found.ok_or_else(expected)?.values);
    values.map_err(|error| in_context(&param.name, error))
}

fn fits(model: &Model, wrong: &[String]) -> Result<()> {
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::input(format!("the weights do not fit model {}: {}", model.name, wrong.join("; ")))),
    }
}

fn read(path: &Path) -> Result<(Described, BTreeMap<String, usize>)> {
    let unreadable = |error: std::io::Error| Error::input(format!("cannot be read: {error}"));
    if path.is_dir() {
        return Err(Error::input("found a folder without model.safetensors, expected the weights of a run that ended"));
    }
    let mut file = crate::files::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    crate::memory::check_free(length, "its weights take", "a smaller model may fit")?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(sealed::MARK_BYTES as u64).read_to_end(&mut start).map_err(unreadable)?;
    if sealed::is_sealed(&start) {
        file.read_to_end(&mut start).map_err(unreadable)?;
        let sealed::Opened { metadata, mut tensors } = sealed::open(&start)?;
        let average = format!("{OPTIMIZER_PREFIX}{EMA}.");
        if tensors.iter().any(|tensor| tensor.name.starts_with(&average)) {
            tensors.retain(|tensor| tensor.name.starts_with(&average));
            tensors.iter_mut().for_each(|tensor| drop(tensor.name.drain(..average.len())));
        }
        let is_state = |name: &str| [OPTIMIZER_PREFIX, CARRIED_PREFIX].iter().any(|prefix| name.starts_with(prefix));
        tensors.retain(|tensor| !is_state(&tensor.name));
        let model = metadata.get(METADATA_KEY).map(|text| Model::from_json(text)).transpose()?;
        return Ok(((model, Weights::new(tensors)), BTreeMap::new()));
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut file = BufReader::new(file);
    let mut size = [0; 8];
    if length >= 8 {
        file.read_exact(&mut size).map_err(unreadable)?;
    }
    let size = u64::from_le_bytes(size);
    // Nothing is allocated by a size that the file itself does not have.
    if length < 8 || size > LARGEST_HEADER_BYTES || size > length - 8 {
        let mut start = Vec::new();
        file.rewind().and_then(|()| file.take(512).read_to_end(&mut start)).map_err(unreadable)?;
        return Err(Error::input(match stranger(&start) {
            Some(found) => format!("found {found}"),
            None => format!("found {length} bytes and a header of {size}, expected a safetensors file"),
        }));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(unreadable)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| Error::input(format!("found a malformed header, expected a safetensors file: {error}")))?;
    let expected = (header.data_len() as u64).saturating_add(8 + size);
    if expected != length {
        return Err(Error::input(format!("found {length} bytes, expected {expected} as the header says")));
    }
    let (mut tensors, mut converted) = (Vec::new(), BTreeMap::new());
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let is_float = matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64);
        if name.ends_with(COUNT) || !is_float && BUFFERS.iter().any(|ending| name.ends_with(ending)) {
            let length = (info.data_offsets.1 - info.data_offsets.0) as i64;
            file.seek_relative(length).map_err(unreadable)?;
            continue;
        }
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        let values = floats(&bytes, info.dtype).ok_or_else(|| {
            let (name, found) = (name.escape_debug(), info.dtype);
            Error::input(format!("found tensor {name} of type {found}, expected F32, F16, BF16 or F64"))
        })?;
        if info.dtype != Dtype::F32 {
            *converted.entry(info.dtype.to_string()).or_default() += 1;
        }
        tensors.push(NamedTensor { name, shape: info.shape.clone(), values });
    }
    let description = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let model = description.map(|text| Model::from_json(text)).transpose()?;
    Ok(((model, Weights::new(tensors)), converted))
}

/// Elements of a type of floats, as 32-bit ones: F16 and BF16 exactly, F64 rounded.
fn floats(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    let halves = |of: fn(u16) -> f32| bytes.as_chunks().0.iter().map(|bytes| of(u16::from_le_bytes(*bytes))).collect();
    Some(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F16 => halves(|bits| f16::from_bits(bits).to_f32()),
        Dtype::BF16 => halves(|bits| bf16::from_bits(bits).to_f32()),
        _ => return None,
    })
}

/// The kind of a file with these first bytes, if it is a common file other than safetensors, and what to do with it.
fn stranger(start: &[u8]) -> Option<&'static str> {
    let is_pickle =
        start.starts_with(&[0x80]) || start.starts_with(b"PK") && start.windows(8).any(|w| w == b"data.pkl");
    if is_pickle {
        return Some(
            "a PyTorch file (a pickle), expected safetensors. In Python: import torch; from safetensors.torch import \
             save_file; save_file({k: v.contiguous() for k, v in torch.load('FILE.pth', map_location='cpu').items()}, \
             'FILE.safetensors')",
        );
    }
    let is_keras = start.starts_with(b"PK") || start.starts_with(b"\x89HDF");
    is_keras.then_some(
        "a Keras file, expected safetensors. In Python: import keras; from safetensors.numpy import save_file; m = \
         keras.models.load_model('FILE.keras'); save_file({w.path: w.numpy() for w in m.weights}, 'FILE.safetensors')",
    )
}

/// A parameter's elements in the order of its memory, from those in the order of the file.
///
/// # Errors
/// [`Error::Failed`] if there is another number of elements.
pub fn to_memory<T: Copy>(layout: &Layout, file: &[T]) -> Result<Vec<T>> {
    Ok(order(layout, file.len())?.into_iter().map(|at| file[at]).collect())
}

/// A parameter's elements in the order of the file, from those in the order of its memory.
///
/// # Errors
/// [`Error::Failed`] if there is another number of elements.
pub fn to_file<T: Copy + Default>(layout: &Layout, memory: &[T]) -> Result<Vec<T>> {
    let mut file = vec![T::default(); memory.len()];
    for (at, value) in order(layout, memory.len())?.into_iter().zip(memory) {
        file[at] = *value;
    }
    Ok(file)
}

/// For each element in memory, its place in the file.
fn order(layout: &Layout, elements: usize) -> Result<Vec<usize>> {
    let sizes = &layout.file_shape;
    if sizes.iter().product::<usize>() != elements {
        return Err(Error::failed(format!("found {elements} elements, expected those of {sizes:?}")));
    }
    // Axis by axis, outermost first: every place so far, moved along the next axis.
    let mut places = vec![0];
    for &axis in &layout.perm {
        let stride: usize = sizes[axis + 1..].iter().product();
        places = places.iter().flat_map(|at| (0..sizes[axis]).map(move |step| at + step * stride)).collect();
    }
    Ok(places)
}
