//! The launches of an op as pure data: kernels by their source, bindings and constants by name.

use crate::error::{Error, Result};
use crate::ir::graph::{Node, Tensor, TensorInfo, View, root};
use std::collections::BTreeMap;
use std::fmt;

/// One shader file.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The file in `shaders/`, without its extension.
    pub path: &'static str,
    /// The stem of the file.
    pub name: &'static str,
    /// Its text, before `//: use` and loops are expanded.
    pub text: &'static str,
}

impl Source {
    /// A kernel of an application's own, of this name and WGSL.
    pub const fn new(name: &'static str, text: &'static str) -> Source {
        Source { path: name, name, text }
    }
}

/// The shader file of a path in `shaders/`: `shader!("pointwise/add")`.
#[macro_export]
#[doc(hidden)]
macro_rules! shader {
    ($path:literal) => {
        $crate::ir::launch::Source {
            path: $path,
            name: $crate::ir::launch::stem($path),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl")),
        }
    };
}

/// The last part of a path with slashes.
#[doc(hidden)]
pub const fn stem(path: &'static str) -> &'static str {
    let mut at = path.len();
    while at > 0 && path.as_bytes()[at - 1] != b'/' {
        at -= 1;
    }
    path.split_at(at).1
}

/// The class of adapter that a plan is made for: it decides the form of the heavy kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelClass {
    /// GPUs: tiles in workgroup memory.
    Tile,
    /// Software adapters with a fixed subgroup size: no workgroup memory, operands handed round by shuffles.
    Lanes(u32),
}

impl fmt::Display for KernelClass {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            KernelClass::Tile => write!(f, "tile"),
            KernelClass::Lanes(n) => write!(f, "lanes({n})"),
        }
    }
}

/// How many times a kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// At least this many invocations, in whole workgroups.
    Invocations(usize),
    /// This many workgroups.
    Groups(usize),
}

/// One launch of one kernel.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The kernel.
    pub source: Source,
    /// The parameters that its text is expanded with.
    pub params: Vec<(&'static str, i64)>,
    /// Values of override constants; those that the kernel does not declare are left out of the plan.
    pub constants: BTreeMap<String, f64>,
    /// Tensors by the names of the kernel's variables.
    pub bindings: Vec<(String, Tensor)>,
    /// How many times it runs.
    pub count: Count,
}

impl Launch {
    /// Binds a tensor to the kernel's variable `name`.
    pub fn bind(mut self, name: &str, tensor: Tensor) -> Self {
        self.bindings.push((name.into(), tensor));
        self
    }

    /// Sets the override constant `name`, if the kernel declares it: shapes are handed over whole.
    pub fn set(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.constants.insert(name.into(), value.into());
        self
    }

    /// `set` for a size.
    pub fn size(self, name: &str, value: usize) -> Self {
        self.set(name, value as f64)
    }

    /// `size` for several.
    pub fn sizes(self, values: &[(&str, usize)]) -> Self {
        values.iter().fold(self, |launch, (name, value)| launch.size(name, *value))
    }
}

/// Tensors that ops derived from others, by the tensor and the name of the derivation.
pub(crate) type Derived = BTreeMap<(Tensor, &'static str), Tensor>;

/// The context of an op's `lower`.
pub struct Lower<'a> {
    /// The class of adapter.
    pub class: KernelClass,
    /// The op's arguments.
    pub x: &'a [Tensor],
    /// The op's results.
    pub y: &'a [Tensor],
    tensors: &'a mut Vec<TensorInfo>,
    derived: &'a mut Derived,
    launches: Vec<Launch>,
}

impl<'a> Lower<'a> {
    /// The context for one node of a graph; `tensors` grows by the scratch that its op asks for.
    pub(crate) fn new(
        class: KernelClass,
        node: &'a Node,
        tensors: &'a mut Vec<TensorInfo>,
        derived: &'a mut Derived,
    ) -> Self {
        Lower { class, x: &node.x, y: &node.y, tensors, derived, launches: Vec::new() }
    }

    /// The launches of the op, in order.
    pub(crate) fn into_launches(self) -> Vec<Launch> {
        self.launches
    }

    /// The sizes of a tensor.
    pub fn shape(&self, t: Tensor) -> Vec<usize> {
        self.tensors[t.index()].shape.0.clone()
    }

    /// The sizes of a tensor that the op has declared with `N` axes.
    pub fn axes<const N: usize>(&self, t: Tensor) -> Result<[usize; N]> {
        let info = &self.tensors[t.index()];
        let axes = info.shape.0.as_slice().try_into();
        axes.map_err(|_| Error::failed(format!("{} {}: {N} axes are expected", info.name, info.shape)))
    }

    /// The number of elements of a tensor.
    pub fn elements(&self, t: Tensor) -> usize {
        self.tensors[t.index()].elements()
    }

    /// The tensor that owns the memory of `t`, and the element of it where `t` begins.
    pub fn root(&self, t: Tensor) -> (Tensor, usize) {
        root(self.tensors, t)
    }

    /// A float tensor for this op alone, of `elements` elements.
    pub fn scratch(&mut self, elements: usize) -> Tensor {
        self.tensors.push(TensorInfo::floats("scratch", [elements]));
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// A tensor of words for this op alone, of `elements` elements.
    pub fn scratch_words(&mut self, elements: usize) -> Tensor {
        self.tensors.push(TensorInfo::words("scratch", [elements]));
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// The word of `t` at `offset`, a multiple of 64 as a binding is aligned: data for a launch of its own, where constants
    /// would make pipelines of their own.
    pub fn view_words(&mut self, t: Tensor, offset: usize, name: impl Into<String>) -> Tensor {
        let view = Some(View { of: t, offset });
        self.tensors.push(TensorInfo { view, ..TensorInfo::words(name, [1]) });
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// What `make` derives from `t`, such as a copy in a texture: made by the first op that asks for it under this
    /// name, and shared by later ops until `t` is updated.
    pub fn derived(
        &mut self,
        t: Tensor,
        name: &'static str,
        make: impl FnOnce(&mut Self) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if let Some(&made) = self.derived.get(&(t, name)) {
            return Ok(made);
        }
        let made = make(self)?;
        self.derived.insert((t, name), made);
        Ok(made)
    }

    /// Begins a launch of `source`, expanded with `params`.
    ///
    /// # Errors
    /// [`Error::Failed`] if a parameter is given twice.
    pub fn kernel(&mut self, source: Source, params: &[(&'static str, i64)]) -> Result<Launch> {
        once(&source, "parameter", params.iter().map(|(name, _)| *name))?;
        let (params, constants, bindings) = (params.to_vec(), BTreeMap::new(), Vec::new());
        Ok(Launch { source, params, constants, bindings, count: Count::Groups(1) })
    }

    /// Launches one invocation for each of `count` elements.
    ///
    /// # Errors
    /// [`Error::Failed`] if two tensors are bound to one variable.
    pub fn invocations(&mut self, launch: Launch, count: usize) -> Result<()> {
        self.launch(Launch { count: Count::Invocations(count), ..launch })
    }

    /// Launches `count` workgroups, folded into two dimensions where one does not hold them.
    ///
    /// # Errors
    /// [`Error::Failed`] if two tensors are bound to one variable.
    pub fn groups(&mut self, launch: Launch, count: usize) -> Result<()> {
        self.launch(Launch { count: Count::Groups(count), ..launch })
    }

    fn launch(&mut self, launch: Launch) -> Result<()> {
        once(&launch.source, "binding", launch.bindings.iter().map(|(name, _)| name.as_str()))?;
        self.launches.push(launch);
        Ok(())
    }
}

/// Holds names to be different.
fn once<'n>(source: &Source, what: &str, names: impl Iterator<Item = &'n str> + Clone) -> Result<()> {
    for (n, name) in names.clone().enumerate() {
        if names.clone().take(n).any(|other| other == name) {
            return Err(Error::failed(format!(
                "kernel {}: {what} `{name}` is given twice, expected once",
                source.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_given_twice_is_an_error() {
        let source = Source::new("some", "");
        assert!(once(&source, "binding", ["a", "b", "c"].into_iter()).is_ok());
        let error = once(&source, "binding", ["a", "b", "a"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("kernel some") && error.contains("binding `a` is given twice"), "{error}");
    }
}
