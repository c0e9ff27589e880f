//! Recurrences: gradients compared with finite differences, the two ways to dispatch them with each other, several
//! threads with one.

use crate::adapter::usable;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::Arc;
use wgrad::device::executor::Build;
use wgrad::device::gpu::classes_of;
use wgrad::device::gpu::open::{OpenOptions, open};
use wgrad::device::{Device, cpu};
use wgrad::ir::case::unit;
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::ir::launch::KernelClass;
use wgrad::ir::op::{Backward, Op};
use wgrad::ir::values::Values;
use wgrad::ops::sequence::cells::Cell;
use wgrad::ops::sequence::recurrence::Recurrence;
use wgrad::ops::sequence::walk::Form;

/// A recurrence, its way back, and random values for all that it is given.
struct Net {
    graph: Graph,
    /// The float arguments, with their gradients.
    roots: Vec<(Tensor, Tensor)>,
    /// y, h and c, with the gradients that they are given.
    results: Vec<(Tensor, Tensor)>,
    contents: Vec<(Tensor, Values)>,
}

impl Net {
    fn new(op: Recurrence, [batch, steps, units]: [usize; 3], lengths: &[u32]) -> Net {
        let (mut graph, mut contents) = (Graph::new(), Vec::new());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut add = |graph: &mut Graph, shape: Vec<usize>| {
            let tensor = graph.tensor(TensorInfo::floats("x", Shape(shape)));
            let values = (0..graph.info(tensor).elements()).map(|_| unit(&mut rng)).collect();
            contents.push((tensor, Values::Float(values)));
            tensor
        };
        let wide = op.cell.gates() * units;
        let mut x: Vec<Tensor> =
            [vec![batch, steps, wide], vec![wide, units], vec![wide]].map(|shape| add(&mut graph, shape)).into();
        if op.initial {
            x.extend((0..op.cell.states()).map(|_| add(&mut graph, vec![batch, units])));
        }
        let floats = x.clone();
        let given = op.lengths.then(|| graph.tensor(TensorInfo::words("lengths", [batch])));
        x.extend(given);
        let y = graph.apply(op, &x).unwrap();
        let mut results = Vec::new();
        for &y in &y[..1 + op.cell.states()] {
            let shape = graph.info(y).shape.0.clone();
            results.push((y, add(&mut graph, shape)));
        }
        let dy: Vec<Option<Tensor>> = (0..y.len()).map(|n| results.get(n).map(|&(_, dy)| dy)).collect();
        let wants = vec![true; x.len()];
        let grads = op.backward(&mut graph, &Backward { x: &x, y: &y, dy: &dy, wants: &wants }).unwrap();
        assert!(grads[floats.len()..].iter().all(Option::is_none), "lengths have no gradient");
        let roots = floats.into_iter().zip(grads.into_iter().flatten()).collect::<Vec<_>>();
        assert_eq!(roots.len(), 3 + if op.initial { op.cell.states() } else { 0 });
        contents.extend(given.map(|given| (given, Values::Word(lengths.to_vec()))));
        Net { graph, roots, results, contents }
    }

    /// Everything that is computed, on a device.
    fn on(&self, device: &Device, class: Option<KernelClass>) -> Vec<Values> {
        let build = Build { class, reuse: false, ..Build::default() };
        let mut executor = device.executor(&self.graph, build).unwrap();
        self.contents.iter().for_each(|(t, values)| executor.write(*t, values).unwrap());
        executor.submit(1).unwrap();
        let wanted = self.results.iter().map(|(y, _)| y).chain(self.roots.iter().map(|(_, grad)| grad));
        wanted.map(|&t| pollster::block_on(executor.read(t)).unwrap()).collect()
    }
}

fn floats(executor: &cpu::Executor<f64>, t: Tensor) -> Vec<f64> {
    match executor.get(t) {
        Values::Float(values) => values,
        _ => panic!("{t} holds no floats"),
    }
}

/// The error of a central difference is about u / STEP for the roundings and STEP² for the curvature, both far below the
/// tolerance.
#[test]
fn gradients_of_recurrences_are_slopes() {
    const STEP: f64 = 1e-6;
    for cell in Cell::ALL {
        for (reverse, initial, lengths) in [(false, true, &[3, 0, 2][..]), (true, true, &[1, 3, 2]), (true, false, &[])]
        {
            let op = Recurrence { reverse, initial, lengths: !lengths.is_empty(), ..Recurrence::new(cell) };
            let net = Net::new(op, [3, 3, 4], lengths);
            let mut executor = cpu::Executor::<f64>::new(net.graph.clone(), false).unwrap();
            net.contents.iter().for_each(|(t, values)| executor.set(*t, values.convert()).unwrap());
            executor.step();
            for &(root, grad) in &net.roots {
                let (values, grad) = (floats(&executor, root), floats(&executor, grad));
                assert!(grad.iter().any(|g| g.abs() > 1e-3), "{op:?} {root}: no gradient to speak of");
                for (i, grad) in grad.iter().enumerate() {
                    let mut at = |step: f64| {
                        let mut moved = values.clone();
                        moved[i] += step;
                        executor.set(root, Values::Float(moved)).unwrap();
                        executor.run(0);
                        let of = |(y, dy): &(Tensor, Tensor)| {
                            let pairs = floats(&executor, *y).into_iter().zip(floats(&executor, *dy));
                            pairs.map(|(y, dy)| y * dy).sum::<f64>()
                        };
                        net.results.iter().map(of).sum::<f64>()
                    };
                    let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                    let near = (slope - grad).abs() <= 1e-7 * (1.0 + grad.abs());
                    assert!(near, "{op:?} {root}[{i}]: gradient {grad}, slope {slope}");
                }
                executor.set(root, Values::Float(values)).unwrap();
            }
        }
    }
}

/// A dispatch for each step and one for all.
#[test]
fn a_recurrence_by_steps_and_in_one_scan_is_the_same_to_the_bit() {
    for (_, adapter) in usable() {
        let gpu = Arc::new(pollster::block_on(open(&adapter, OpenOptions::default())).expect("the adapter opens"));
        let device = Device::Gpu(gpu.clone());
        for class in classes_of(&gpu) {
            let [step, scan] = [Form::Step, Form::Scan].map(|form| {
                let way =
                    Recurrence { reverse: true, initial: true, lengths: true, form: Some(form), cell: Cell::Lstm };
                Net::new(way, [9, 3, 36], &[3, 2, 0, 1, 3, 3, 3, 2, 3]).on(&device, Some(class))
            });
            assert!(step == scan, "{class}");
        }
    }
}

#[test]
fn a_recurrence_on_any_number_of_threads_is_the_same_to_the_bit() {
    let op = Recurrence { initial: true, ..Recurrence::new(Cell::Lstm) };
    let net = Net::new(op, [45, 3, 40], &[]);
    let [one, three] = [1, 3].map(|threads| net.on(&Device::cpu(threads).unwrap(), None));
    assert!(one == three);
}

#[test]
fn shapes_that_do_not_fit_a_recurrence_are_named() {
    let mut graph = Graph::new();
    let mut tensor = |shape: &[usize]| graph.tensor(TensorInfo::floats("x", Shape(shape.to_vec())));
    let [gx, weight, bias, other] = [&[2, 3, 8][..], &[8, 2], &[8], &[6, 2]].map(&mut tensor);
    let op = Recurrence::new(Cell::Lstm);
    let message = |graph: &mut Graph, op: Recurrence, x: &[Tensor]| graph.apply(op, x).unwrap_err().to_string();
    let text = message(&mut graph, op, &[gx, other, bias]);
    assert!(text.contains("expected [B, T, 4·H] and [4·H, H]"), "{text}");
    let text = message(&mut graph, op, &[gx, weight]);
    assert!(text.contains("2 arguments where 3 are expected"), "{text}");
    let text = message(&mut graph, Recurrence { initial: true, ..op }, &[gx, weight, bias, bias, bias]);
    assert!(text.contains("1 axes where 2 are expected"), "{text}");
    let text = message(&mut graph, Recurrence { lengths: true, ..op }, &[gx, weight, bias, bias]);
    assert!(text.contains("found lengths [8], expected [2]"), "{text}");
}
