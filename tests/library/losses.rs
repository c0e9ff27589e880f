//! The losses: as PyTorch has them, against finite differences, and mixed labels as the mixture of two losses.
//! `tests/fixtures/make_fixtures.py` made the stored values (its part `losses`).

use crate::fixtures::{bytes, json};
use safetensors::SafeTensors;
use wgrad::device::cpu::Executor;
use wgrad::ir::element::IGNORED;
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::ops::loss::class_scale::ClassScale;
use wgrad::ops::loss::dice::Dice;
use wgrad::ops::loss::dice_sums::DiceSums;
use wgrad::ops::loss::each::Each;
use wgrad::ops::loss::log_sum_exp::LogSumExp;
use wgrad::ops::loss::one_hot_loss::OneHotLoss;
use wgrad::ops::loss::softmax_ce::SoftmaxCe;
use wgrad::step::control::Control;

/// The settings of a loss.
#[derive(Clone, Debug, Default)]
struct Told {
    name: String,
    smoothing: f32,
    weights: Vec<f64>,
    /// The other label and the first one's share, of each row.
    mixed: Option<(Vec<u32>, Vec<f64>)>,
}

/// A loss alone in a graph, in double precision.
struct Loss {
    executor: Executor<f64>,
    logits: Tensor,
    results: Vec<Tensor>,
}

impl Loss {
    /// Of `shape` logits, of which the first `valid` samples count.
    fn new(told: &Told, shape: &[usize], labels: &[u32], valid: usize) -> Loss {
        let (classes, rows) = (shape[shape.len() - 1], Shape(shape[..shape.len() - 1].to_vec()));
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let logits = graph.tensor(TensorInfo::floats("logits", Shape(shape.to_vec())));
        let truth = graph.tensor(TensorInfo::words("labels", rows.clone()));
        let mut x = vec![control, logits, truth];
        let mut given = Vec::new();
        if let Some((other, share)) = &told.mixed {
            x.push(graph.tensor(TensorInfo::words("other", rows.clone())));
            given.push((x[3], Values::Word(other.clone())));
            x.push(graph.tensor(TensorInfo::floats("share", rows)));
            given.push((x[4], Values::Float(share.clone())));
        }
        let weighted = !told.weights.is_empty();
        if weighted {
            let weights = graph.tensor(TensorInfo::floats("weights", [classes]));
            given.push((weights, Values::Float(told.weights.clone())));
            x.push(graph.apply(ClassScale, &[control, truth, weights]).unwrap()[0]);
        }
        let results = match &*told.name {
            "softmax" => {
                let op = SoftmaxCe { mixed: told.mixed.is_some(), weighted, smoothing: told.smoothing };
                graph.apply(op, &x)
            }
            "bce" => graph.apply(OneHotLoss { each: Each::Bce, counted: false }, &x),
            "mse" => graph.apply(OneHotLoss { each: Each::Mse, counted: false }, &x),
            "huber" => graph.apply(OneHotLoss { each: Each::Huber, counted: false }, &x),
            "dice" | "ce-dice" => {
                let whole = graph.apply(LogSumExp, &[logits]).unwrap()[0];
                let sums = graph.apply(DiceSums, &[logits, truth, whole]).unwrap()[0];
                graph.apply(Dice { cross: told.name == "ce-dice" }, &[control, logits, truth, whole, sums])
            }
            other => panic!("no loss {other}"),
        };
        let results = results.unwrap();
        let mut executor = Executor::new(graph, false).unwrap();
        let block = Control { valid: valid as u32, samples: shape[0] as u32, ..Control::default() };
        executor.set(control, Values::Word(block.words())).unwrap();
        executor.set(truth, Values::Word(labels.to_vec())).unwrap();
        given.into_iter().for_each(|(t, values)| executor.set(t, values).unwrap());
        Loss { executor, logits, results }
    }

    /// The mean loss and the gradient.
    fn at(&mut self, logits: &[f64]) -> (f64, Vec<f64>) {
        self.executor.set(self.logits, Values::Float(logits.to_vec())).unwrap();
        self.executor.step();
        let [loss, delta] = [0, 2].map(|result| match self.executor.get(self.results[result]) {
            Values::Float(values) => values,
            other => panic!("{other:?}"),
        });
        (loss.iter().sum(), delta)
    }
}

#[test]
fn losses_are_those_of_pytorch() {
    let bytes = bytes("losses.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let table = json("losses.json");
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() > 16);
    for (k, case) in cases.iter().enumerate() {
        let words = |name: &str| {
            let view = tensors.tensor(&format!("{k}/{name}")).unwrap();
            (view.shape().to_vec(), view.data().as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
        };
        let floats = |name: &str| -> Vec<f64> {
            let (_, words): (_, Vec<u32>) = words(name);
            words.into_iter().map(|word| f32::from_bits(word).into()).collect()
        };
        let (shape, _): (_, Vec<u32>) = words("logits");
        let (_, labels) = words("labels");
        let weights = case["weights"].as_array().unwrap().iter().map(|w| f64::from(w.as_f64().unwrap() as f32));
        let told = Told {
            name: case["loss"].as_str().unwrap().into(),
            smoothing: case["smoothing"].as_f64().unwrap() as f32,
            weights: weights.collect(),
            mixed: None,
        };
        let (value, delta) = Loss::new(&told, &shape, &labels, shape[0]).at(&floats("logits"));
        let expected = case["value"].as_f64().unwrap();
        assert!((value - expected).abs() <= 1e-12 * (1.0 + expected), "{k} {told:?}: {value}, PyTorch {expected}");
        // What is stored of the gradient was rounded to single precision.
        for (found, expected) in delta.iter().zip(floats("dlogits")) {
            let tolerance = f64::from(f32::EPSILON) * expected.abs() + 1e-15;
            assert!((found - expected).abs() <= tolerance, "{k} {told:?}: {found}, PyTorch {expected}");
        }
    }
}

/// Central differences of the summed loss in every logit, rows beyond the valid samples among them.
#[test]
fn gradients_are_slopes() {
    const STEP: f64 = 1e-5;
    let random =
        |n: usize, of: usize| (0..n).map(move |i| ((i * 7919 + of * 104_729 + 13) % 1009) as f64 / 251.3 - 2.0);
    let softmax =
        |smoothing, weights: &[f64]| Told { name: "softmax".into(), smoothing, weights: weights.into(), mixed: None };
    let mixed = Some(((0..18).map(|b| b * 5 % 4).collect(), (0..18).map(|b| f64::from(b % 5) / 4.0).collect()));
    let mut all = vec![
        softmax(0.0, &[]),
        softmax(0.2, &[]),
        softmax(0.0, &[0.5, 0.0, 2.0, 1.0]),
        softmax(0.3, &[0.5, 0.0, 2.0, 1.0]),
        Told { mixed: mixed.clone(), ..softmax(0.0, &[]) },
        Told { mixed, ..softmax(0.1, &[]) },
    ];
    all.extend(["bce", "mse", "huber", "dice", "ce-dice"].map(|name| Told { name: name.into(), ..Told::default() }));
    for told in all {
        let shape = [3, 3, 2, 4];
        let labels: Vec<u32> = (0..18).map(|b| b * 7 % 4).collect();
        let mut loss = Loss::new(&told, &shape, &labels, 2);
        let logits: Vec<f64> = random(72, 1).collect();
        let (value, delta) = loss.at(&logits);
        assert!(value > 0.0);
        for i in 0..72 {
            let mut moved = |by: f64| {
                let mut logits = logits.clone();
                logits[i] += by;
                loss.at(&logits).0
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!((slope - delta[i]).abs() <= 1e-8, "{told:?}, logit {i}: {}, slope {slope}", delta[i]);
            assert!(i < 48 || delta[i] == 0.0, "{told:?}: a row beyond the valid samples has a gradient");
        }
    }
}

/// λ·CE(label) + (1 - λ)·CE(other), gradient and all.
#[test]
fn a_mixed_loss_is_the_mixture_of_two() {
    let (labels, other): (Vec<u32>, Vec<u32>) =
        ((0..6).map(|b| b % 3).collect(), (0..6).map(|b| (b + 1) % 3).collect());
    let logits: Vec<f64> = (0..18).map(|i| f64::from(i * 5 % 7) - 3.0).collect();
    let plain = Told { name: "softmax".into(), smoothing: 0.1, ..Told::default() };
    let two = [&labels, &other].map(|labels| Loss::new(&plain, &[6, 3], labels, 6).at(&logits));
    for share in [0.0, 0.25, 1.0] {
        let told = Told { mixed: Some((other.clone(), vec![share; 6])), ..plain.clone() };
        let (value, delta) = Loss::new(&told, &[6, 3], &labels, 6).at(&logits);
        let mixture = |a: f64, b: f64| share * a + (1.0 - share) * b;
        assert!((value - mixture(two[0].0, two[1].0)).abs() < 1e-12, "{share}");
        for ((found, a), b) in delta.iter().zip(&two[0].1).zip(&two[1].1) {
            assert!((found - mixture(*a, *b)).abs() < 1e-12, "{share}");
        }
    }
}

/// An image is as good as without the pixels that are ignored, and a batch is the mean of its images.
#[test]
fn dice_leaves_out_what_is_ignored_and_is_the_mean_of_images() {
    let labels: Vec<u32> = (0..12).map(|r| r * r % 3).collect();
    let logits: Vec<f64> = (0..36).map(|i| f64::from(i * 5 % 7) - 3.0).collect();
    for name in ["dice", "ce-dice"] {
        let told = Told { name: name.into(), ..Told::default() };
        let of = |shape: &[usize], labels: &[u32], logits: &[f64]| Loss::new(&told, shape, labels, shape[0]).at(logits);
        let (whole, _) = of(&[2, 2, 3, 3], &labels, &logits);
        let parts = [0, 6].map(|r| of(&[1, 2, 3, 3], &labels[r..r + 6], &logits[r * 3..r * 3 + 18]).0);
        assert!((whole - (parts[0] + parts[1]) / 2.0).abs() < 1e-12, "{name}: {whole} of {parts:?}");
        let masked: Vec<u32> = (0..12).map(|r| if r < 4 { labels[r] } else { IGNORED }).collect();
        let (found, delta) = of(&[1, 4, 3, 3], &masked, &logits);
        let (expected, few) = of(&[1, 4, 1, 3], &labels[..4], &logits[..12]);
        assert!((found - expected).abs() < 1e-12, "{name}: {found}, expected {expected}");
        assert!(delta.iter().zip(few.iter().chain(&[0.0; 24])).all(|(a, b)| (a - b).abs() < 1e-12), "{name}");
        // Where every pixel is ignored there is nothing to learn.
        let (none, delta) = of(&[1, 4, 3, 3], &[IGNORED; 12], &logits);
        assert!(none == 0.0 && delta.iter().all(|slope| *slope == 0.0), "{name}");
    }
}
