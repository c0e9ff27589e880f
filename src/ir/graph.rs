//! The graph: tensors and the ops between them, as pure data.

use crate::error::{Error, Result};
use crate::ir::op::Op;
use crate::ir::values::Values;
use std::fmt;
use std::sync::Arc;

/// Handle of a tensor in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tensor(pub(crate) u32);

impl Tensor {
    /// The position in the graph's table of tensors.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Sizes of a tensor's axes, outermost first. Images are N, H, W, C.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Self {
        Shape(sizes.to_vec())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit word: labels, indices, the control block.
    U32,
    /// Byte of the data set; on a device four of them share a word.
    U8,
}

/// The role of a tensor, which decides where it is stored and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The data set, uploaded once.
    Data,
    /// A result within the step.
    Activation,
    /// A trained parameter; all of them share one arena.
    Param,
    /// The gradient of a parameter; all of them share one arena.
    Grad,
    /// The state of the optimizer, and that of recurrences which is carried to the next step.
    State,
    /// Everything else that changes from step to step: counters, rates, keys, the step log.
    Control,
}

/// A tensor that lives inside another one's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The tensor that owns the memory, or another view of it.
    pub of: Tensor,
    /// The first element.
    pub offset: usize,
}

/// Everything the graph knows of a tensor.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// A name for listings: the op or the parameter that it comes from.
    pub name: String,
    /// Its sizes.
    pub shape: Shape,
    /// Its element type.
    pub dtype: DType,
    /// Its role.
    pub role: Role,
    /// The memory it shares, where it has none of its own.
    pub view: Option<View>,
}

impl TensorInfo {
    /// A float result within the step.
    pub fn floats(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        TensorInfo { name: name.into(), shape: shape.into(), dtype: DType::F32, role: Role::Activation, view: None }
    }

    /// A result of words within the step.
    pub fn words(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        TensorInfo { dtype: DType::U32, ..Self::floats(name, shape) }
    }

    /// Bytes of the data set.
    pub fn bytes(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        TensorInfo { dtype: DType::U8, role: Role::Data, ..Self::floats(name, shape) }
    }

    /// The same tensor in another role.
    pub fn role(self, role: Role) -> Self {
        TensorInfo { role, ..self }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }
}

/// When a node runs. Several processes compute each for themselves, reduce together, and update alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Forward and backward.
    Compute,
    /// The gradients of several batches made one.
    Reduce,
    /// The optimizer and the step's bookkeeping.
    Update,
}

/// An op at work on tensors.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its arguments.
    pub x: Vec<Tensor>,
    /// Its results; those that existed before the node are updated in place.
    pub y: Vec<Tensor>,
    /// When it runs.
    pub phase: Phase,
}

/// How a parameter lies in memory, compared with the weight file: `perm[i]` is the axis of
/// `file_shape` that is the i-th in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Sizes in the weight file's order, split as finely as the permutation needs.
    pub file_shape: Vec<usize>,
    /// The file axis of each memory axis.
    pub perm: Vec<usize>,
}

/// A trained parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its tensor.
    pub tensor: Tensor,
    /// Its name in weight files, such as `0.weight`.
    pub name: String,
    /// Its shape in weight files.
    pub file_shape: Shape,
    /// How memory differs from the file.
    pub layout: Layout,
    /// Its gradient, once `backward` has run.
    pub grad: Option<Tensor>,
    /// Whether training leaves it as it is: no gradient, no place in the optimizer's state.
    pub frozen: bool,
    /// Whether it is a running statistic: no optimizer changes it, as if it were frozen, but the step itself does.
    pub running: bool,
}

/// Elements between the starts of an arena's members: 256 bytes, the alignment of a storage binding.
const ARENA_ALIGNMENT: usize = 64;

/// Tensors and the ops between them, in execution order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every tensor, indexed by `Tensor::index`.
    pub tensors: Vec<TensorInfo>,
    /// Every op, in execution order.
    pub nodes: Vec<Node>,
    /// Every parameter, in the order of the weight file.
    pub params: Vec<Param>,
    /// The state for the next step: results, each with the state tensor that stores it.
    pub carried: Vec<(Tensor, Tensor)>,
    /// States that the step itself updates, such as the keys and values of earlier tokens.
    pub kept: Vec<Tensor>,
    /// Tensors with the same values in every step, which an executor writes as it is made.
    pub constants: Vec<(Tensor, Values)>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The properties of a tensor.
    pub fn info(&self, t: Tensor) -> &TensorInfo {
        &self.tensors[t.index()]
    }

    /// The sizes of a tensor.
    pub fn shape(&self, t: Tensor) -> &[usize] {
        &self.info(t).shape.0
    }

    /// Adds a tensor that no op produces.
    pub fn tensor(&mut self, info: TensorInfo) -> Tensor {
        self.tensors.push(info);
        Tensor((self.tensors.len() - 1) as u32)
    }

    /// Adds a tensor that has the same values in every step; one of this name is there once.
    pub fn constant(&mut self, info: TensorInfo, values: impl FnOnce() -> Values) -> Tensor {
        let known = self.constants.iter().map(|(t, _)| *t).find(|&t| {
            let known = self.info(t);
            (&known.name, &known.shape) == (&info.name, &info.shape)
        });
        known.unwrap_or_else(|| {
            let t = self.tensor(info.role(Role::Data));
            self.constants.push((t, values()));
            t
        })
    }

    /// Adds a parameter that is stored in memory as `layout` says.
    pub fn param(&mut self, name: impl Into<String>, file_shape: impl Into<Shape>, layout: Layout) -> Tensor {
        let name = name.into();
        let shape = Shape(layout.perm.iter().map(|&axis| layout.file_shape[axis]).collect());
        let tensor = self.tensor(TensorInfo::floats(name.clone(), shape).role(Role::Param));
        self.params.push(Param {
            tensor,
            name,
            file_shape: file_shape.into(),
            layout,
            grad: None,
            frozen: false,
            running: false,
        });
        tensor
    }

    /// Makes a parameter a running statistic.
    pub fn make_running(&mut self, tensor: Tensor) {
        let param = self.params.iter_mut().find(|param| param.tensor == tensor);
        param.into_iter().for_each(|param| (param.frozen, param.running) = (true, true));
    }

    /// The first element of each parameter in the arena: in the order of the weight file, running statistics after all
    /// others, so that the optimizer's dispatches do not fall apart at them. With it the length of the arena.
    pub(crate) fn arena_offsets(&self) -> (Vec<usize>, usize) {
        let (mut offsets, mut length) = (vec![0; self.params.len()], 0);
        for running in [false, true] {
            for (param, offset) in self.params.iter().zip(&mut offsets).filter(|(param, _)| param.running == running) {
                *offset = length;
                length += self.aligned(param.tensor);
            }
        }
        (offsets, length)
    }

    /// Adds an op and its new results.
    pub fn apply(&mut self, op: impl Op, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.apply_arc(Arc::new(op), x)
    }

    /// `apply` for an op that is shared already.
    pub fn apply_arc(&mut self, op: Arc<dyn Op>, x: &[Tensor]) -> Result<Vec<Tensor>> {
        let infos = self.check(&*op, x)?;
        let y: Vec<Tensor> = infos.into_iter().map(|info| self.tensor(info)).collect();
        if op.is_view() {
            self.tensors[y[0].index()].view = Some(View { of: x[0], offset: 0 });
        }
        self.nodes.push(Node { op, x: x.to_vec(), y: y.clone(), phase: Phase::Compute });
        Ok(y)
    }

    /// Adds an op that updates `y` in place, after the step's gradients are complete.
    pub fn update(&mut self, op: impl Op, x: &[Tensor], y: &[Tensor]) -> Result<()> {
        self.update_arc(Arc::new(op), x, y)
    }

    /// `update` for an op that makes the gradients of several batches one.
    pub fn reduce(&mut self, op: impl Op, x: &[Tensor], y: &[Tensor]) -> Result<()> {
        self.update_in(Phase::Reduce, Arc::new(op), x, y)
    }

    /// `update` for an op that is shared already.
    pub fn update_arc(&mut self, op: Arc<dyn Op>, x: &[Tensor], y: &[Tensor]) -> Result<()> {
        self.update_in(Phase::Update, op, x, y)
    }

    /// Adds an op that updates a state in place for the ops after it, where the state stays for the next step.
    pub fn keep(&mut self, op: impl Op, x: &[Tensor], state: Tensor) -> Result<()> {
        self.kept.push(state);
        self.update_in(Phase::Compute, Arc::new(op), x, &[state])
    }

    fn update_in(&mut self, phase: Phase, op: Arc<dyn Op>, x: &[Tensor], y: &[Tensor]) -> Result<()> {
        let infos = self.check(&*op, x)?;
        let fits =
            infos.len() == y.len() && infos.iter().zip(y).all(|(info, &y)| info.elements() == self.info(y).elements());
        if !fits {
            return Err(Error::input(format!("{}: what it updates does not fit its arguments", op.name())));
        }
        self.nodes.push(Node { op, x: x.to_vec(), y: y.to_vec(), phase });
        Ok(())
    }

    fn check(&self, op: &dyn Op, x: &[Tensor]) -> Result<Vec<TensorInfo>> {
        let x: Vec<&TensorInfo> = x.iter().map(|&t| self.info(t)).collect();
        op.outputs(&x).map_err(|why| {
            let shapes: Vec<String> = x.iter().map(|x| format!("{} {}", x.name, x.shape)).collect();
            Error::input(format!("{}: {why} (given {})", op.name(), shapes.join(", ")))
        })
    }

    /// Moves every parameter into one arena, and every gradient into another, in the order of the weight
    /// file, running statistics last: the optimizer is one dispatch then, and a checkpoint one read. Returns both. The arena of gradients
    /// has no place for frozen parameters.
    pub fn arenas(&mut self) -> Result<[Tensor; 2]> {
        let (in_params, length) = self.arena_offsets();
        let mut offsets = Vec::new();
        let mut lengths = [length, 0];
        for (param, in_params) in self.params.iter().zip(in_params) {
            offsets.push([in_params, lengths[1]]);
            lengths[1] += if param.frozen { 0 } else { self.aligned(param.tensor) };
        }
        let params = self.tensor(TensorInfo::floats("params", [lengths[0]]).role(Role::Param));
        let grads = self.tensor(TensorInfo::floats("grads", [lengths[1]]).role(Role::Grad));
        for (param, [in_params, in_grads]) in self.params.clone().iter().zip(offsets) {
            for (member, of, offset) in [(Some(param.tensor), params, in_params), (param.grad, grads, in_grads)] {
                let Some(member) = member else { continue };
                let info = &mut self.tensors[member.index()];
                if info.view.is_some() {
                    return Err(Error::failed(format!("{} shares its memory with another tensor already", info.name)));
                }
                info.view = Some(View { of, offset });
            }
        }
        Ok([params, grads])
    }

    /// The elements that a parameter takes in an arena.
    pub(crate) fn aligned(&self, param: Tensor) -> usize {
        self.info(param).elements().next_multiple_of(ARENA_ALIGNMENT)
    }

    /// Whether this is a state that is carried to the next step, not one of the optimizer.
    pub fn is_carried(&self, t: Tensor) -> bool {
        self.carried.iter().any(|(_, state)| *state == t)
    }

    /// How many nodes read each tensor.
    pub fn consumers(&self) -> Vec<Vec<usize>> {
        let mut consumers = vec![Vec::new(); self.tensors.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            node.x.iter().for_each(|x| consumers[x.index()].push(n));
        }
        consumers
    }

    /// The tensor that owns the memory of `t`, and the element of it where `t` begins.
    pub fn root(&self, t: Tensor) -> (Tensor, usize) {
        root(&self.tensors, t)
    }
}

/// The tensor that owns the memory of `t`, and the element of it where `t` begins.
pub fn root(tensors: &[TensorInfo], mut t: Tensor) -> (Tensor, usize) {
    let mut offset = 0;
    while let Some(view) = tensors[t.index()].view {
        offset += view.offset;
        t = view.of;
    }
    (t, offset)
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let typed = |t: &Tensor| format!("{t} {}", self.info(*t).shape);
        for node in &self.nodes {
            let y: Vec<String> = node.y.iter().map(typed).collect();
            let x: Vec<String> = node.x.iter().map(|t| t.to_string()).collect();
            writeln!(f, "{} = {:?} ({})", y.join(", "), node.op, x.join(", "))?;
        }
        Ok(())
    }
}
