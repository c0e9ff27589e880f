//! Sums in place: where gradients or branches meet, the sum reuses the memory of an operand that is not read
//! afterwards.

use crate::plans::target;
use wgrad::ir::graph::{Graph, Layout, Role, Tensor, TensorInfo};
use wgrad::ir::launch::KernelClass;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::ops::matmul::matmul_nt::MatmulNt;
use wgrad::ops::pointwise::add::Add;
use wgrad::ops::pointwise::relu::Relu;
use wgrad::plan::Plan;
use wgrad::plan::lower::{Target, lower};
use wgrad::step::control::Control;

const ROWS: usize = 6;
const WIDE: usize = 8;

fn dense(graph: &mut Graph, x: Tensor, name: &str) -> Tensor {
    let mut param = |part: &str, sizes: &[usize]| {
        let layout = Layout { file_shape: sizes.to_vec(), perm: (0..sizes.len()).collect() };
        graph.param(format!("{name}.{part}"), wgrad::ir::graph::Shape(sizes.to_vec()), layout)
    };
    let (w, bias) = (param("weight", &[WIDE, WIDE]), param("bias", &[WIDE]));
    graph.apply(MatmulNt::default(), &[x, w, bias]).unwrap()[0]
}

fn adds(plan: &Plan) -> [usize; 2] {
    ["add", "add_to"].map(|name| plan.dispatches.iter().filter(|d| d.kernel.name == name).count())
}

fn activations(plan: &Plan) -> usize {
    plan.buffers.iter().filter(|buffer| buffer.role == Role::Activation).count()
}

/// h = dense(x), logits = h + dense(h): h has two consumers, and so its gradient two sources.
fn residual() -> Graph {
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [ROWS, WIDE]).role(Role::Data));
    let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
    let labels = graph.tensor(TensorInfo::words("labels", [ROWS]).role(Role::Data));
    let h = dense(&mut graph, x, "0");
    let r = dense(&mut graph, h, "1");
    let logits = graph.apply(Add, &[r, h]).unwrap()[0];
    let loss = graph.apply(SoftmaxCe::default(), &[control, logits, labels]).unwrap()[0];
    graph.backward(loss).unwrap();
    graph.arenas().unwrap();
    graph
}

#[test]
fn a_residual_connection_and_its_gradient_take_no_third_tensor() {
    let graph = residual();
    let shared = lower(&graph, target(KernelClass::Tile)).unwrap();
    assert_eq!(adds(&shared), [0, 2], "{shared}");
    // Forward: h, and r that becomes the logits. Backward: their gradient, and that of h through the second layer.
    // Beside them stand the losses and answers of the rows.
    let whole = lower(&graph, Target { reuse: false, ..target(KernelClass::Tile) }).unwrap();
    assert_eq!(adds(&whole), [2, 0], "every result is to be read back here");
    assert_eq!(activations(&shared), BUFFERS, "{shared}");
}

/// Buffers of results in the plan of `residual`: one more where the sums have memory of their own.
const BUFFERS: usize = 5;

#[test]
fn a_side_that_is_read_later_stays_as_it_is() {
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [ROWS, WIDE]).role(Role::Data));
    let a = graph.apply(Relu, &[x]).unwrap()[0];
    let b = graph.apply(Relu, &[a]).unwrap()[0];
    let sum = graph.apply(Add, &[a, b]).unwrap()[0];
    let twice = graph.apply(Add, &[sum, sum]).unwrap()[0];
    let outside = graph.apply(Add, &[twice, x]).unwrap()[0];
    for t in [a, b, outside] {
        graph.apply(Relu, &[t]).unwrap();
    }
    let plan = lower(&graph, target(KernelClass::Tile)).unwrap();
    // a and b are read later and the second adds a tensor to itself; the third takes over `twice`, never the data.
    assert_eq!(adds(&plan), [2, 1], "{plan}");
    let last = plan.dispatches.iter().find(|d| d.kernel.name == "add_to").unwrap();
    assert_eq!(last.bindings[0].1, x);
    assert_eq!(plan.place(outside).unwrap().buffer, plan.place(twice).unwrap().buffer);
}
