//! The report is correct: its counts against separate predictions, its saliency against finite differences, its page
//! as one file that loads nothing.
#![cfg(feature = "report")]

#[path = "../common/adapter.rs"]
mod adapter;
mod heads;
mod texts;

use std::ops::ControlFlow;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::model::formats::weights::{NamedTensor, Weights};
use wgrad::model::init::glorot_uniform;
use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::report::folder::RunRecord;
use wgrad::report::inside::Inside;
use wgrad::report::{Findings, ReportData, gather, page, pictures};
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::predict::TrainedModel;
use wgrad::train::run::RunConfig;
use wgrad::train::settings::options::TrainOptions;

/// Images of 8 × 8 in 4 classes that are hard to tell apart, so that a short training leaves mistakes.
fn data() -> Dataset {
    let split = |count: usize, salt: usize| {
        let label = |i: usize| ((i * 7 + i / 5) % 4) as u8;
        let pixel = |i: usize, p: usize| {
            let noise = ((i + salt) * 31 + p * 17) * 2_654_435_761 % 65_536 / 290;
            (noise + if p % 4 == usize::from(label(i)) { 25 } else { 0 }) as u8
        };
        let pixels = (0..count).flat_map(|i| (0..64).map(move |p| pixel(i, p))).collect();
        Split::new([8, 8, 1], pixels, (0..count).map(label).collect()).expect("a split")
    };
    Dataset::new("noisy", split(160, 0), split(75, 1000)).expect("a data set")
}

fn model() -> Model {
    Sequential::new([8, 8, 1])
        .name("small")
        .conv2d(5, 3)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(4)
        .build()
        .expect("a model")
}

fn devices() -> [Device; 2] {
    [adapter::device(), Device::cpu(2).expect("two threads")]
}

/// Trains, and returns the weights, the test accuracy and loss that the training measured, and the findings.
fn trained(device: &Device, data: &Dataset) -> (Weights, [f64; 2], Findings) {
    let options = TrainOptions { epochs: 2, batch_size: 16, ..TrainOptions::default() };
    let mut trainer = Trainer::new(device, &model(), data, &options, None).expect("a trainer");
    let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
    let weights = pollster::block_on(trainer.weights()).expect("weights");
    let findings =
        pollster::block_on(gather(&mut trainer, &device.name(), 16, &model(), &weights, data)).expect("findings");
    let last = metrics.last().expect("two epochs");
    (weights, [last.val_accuracy, last.val_loss], findings)
}

#[test]
fn counts_agree_with_predictions_made_apart() {
    let data = data();
    for device in devices() {
        let (weights, [accuracy, loss], findings) = trained(&device, &data);
        let found = findings.confusion.expect("a confusion matrix");
        let net = TrainedModel { model: model(), weights };
        let predicted = net.predict(data.test.pixels()).expect("probabilities");
        let best = |p: &[f32]| (1..p.len()).fold(0, |best, c| if p[c] > p[best] { c } else { best });
        let mut counts = vec![vec![0; 4]; 4];
        let mut right = 0;
        for (p, label) in predicted.iter().zip(&data.test.labels()) {
            counts[*label as usize][best(p)] += 1;
            right += usize::from(best(p) == *label as usize);
        }
        assert_eq!(found.counts, counts, "{}", device.name());
        assert_eq!((found.samples, found.accuracy), (75, right as f64 / 75.0));
        assert_eq!(found.accuracy, accuracy, "what the training said");
        // Two sums of the same 75 losses, each within its roundings of the true one: 75 · 2⁻²⁴, and a few ULP of exp and ln.
        assert!((found.loss - loss).abs() <= 100.0 * f64::from(f32::EPSILON) * (1.0 + loss), "{} {loss}", found.loss);
        for (class, rates) in found.rates.iter().enumerate() {
            let answers = counts.iter().map(|row| row[class]).sum::<u64>();
            let share = |of: u64| (of > 0).then(|| counts[class][class] as f64 / of as f64);
            assert_eq!((rates.precision, rates.recall), (share(answers), share(counts[class].iter().sum())));
        }

        let sureness: Vec<f64> = findings.mistakes.iter().map(|one| one.guesses[0].1).collect();
        assert!(sureness.len() > 3 && sureness.is_sorted_by(|a, b| a >= b), "{sureness:?}");
        for one in &findings.mistakes {
            let p = &predicted[one.index];
            assert_eq!((one.label, one.guesses[0].0), (data.test.labels()[one.index] as usize, best(p)));
            assert_ne!(one.label, one.guesses[0].0);
            // One softmax in single, one in double precision, over logits from two devices.
            assert!((one.guesses[0].1 - f64::from(p[best(p)])).abs() < 1e-4, "{one:?} {p:?}");
            assert_eq!(one.picture.bytes(), &data.test.pixels()[one.index * 64..][..64]);
        }
        let surest = predicted.iter().zip(data.test.labels()).filter(|(p, label)| best(p) != *label as usize);
        let surest = surest.map(|(p, _)| p[best(p)]).fold(0.0, f32::max);
        assert!((sureness[0] - f64::from(surest)).abs() < 1e-4, "none is surer than the first");

        let timings = findings.timings.expect("both kinds of device can be timed");
        assert!(timings.kernels.len() > 5 && timings.kernels.iter().all(|kernel| kernel.ms >= 0.0), "{timings:?}");
        assert!(timings.kernels.iter().any(|kernel| kernel.op == "conv2d_relu_pool"), "{timings:?}");
    }
}

/// The same weights without their signs.
fn absolute(weights: &Weights) -> Weights {
    let tensors = weights.tensors.iter().map(|tensor| NamedTensor {
        values: tensor.values.iter().map(|value| value.abs()).collect(),
        ..tensor.clone()
    });
    Weights::new(tensors.collect())
}

/// A net of these layers is linear between the points where a ReLU or a pool tips over, so that a central difference is
/// exact except for rounding: each of the two logits is off by at most n·u times the sum of its terms' magnitudes, n
/// the longest chain of additions, and the net with all signs taken away gives that sum.
#[test]
fn saliency_is_the_slope_of_the_logit() {
    const STEP: f64 = 1e-5;
    let layers = Sequential::new([9, 8, 2]).conv2d_with(4, [3, 2], [2, 1], Padding::Same).relu().conv2d(3, 2).relu();
    let model = layers.max_pool2d(2).flatten().dense(6).relu().dense(5).normalise(0.01, -0.5).build().expect("a model");
    let weights = glorot_uniform(&model, 11).expect("weights");
    let pixels: Vec<u8> = (0..144).map(|p| (p * 97 % 251) as u8).collect();

    let mut net = Inside::<f64>::new(&model).expect("a net");
    net.set_weights(&absolute(&weights)).expect("they fit");
    let sample = net.normalised(&pixels);
    let magnitudes = net.run(sample.iter().map(|x| x.abs() + STEP).collect()).expect("logits");
    net.set_weights(&weights).expect("they fit");
    let chain: usize = model.params().expect("parameters").iter().map(|param| param.fan_in + 1).sum();

    let mut spread = 0.0f64;
    for (class, magnitude) in magnitudes.iter().enumerate() {
        net.run(sample.clone()).expect("logits");
        let gradient = net.saliency(class).expect("a gradient");
        let tolerance = chain as f64 * f64::EPSILON * magnitude / STEP;
        for (at, slope) in gradient.iter().enumerate() {
            let mut logit = |step: f64| {
                let mut moved = sample.clone();
                moved[at] += step;
                // What was added is not quite the step.
                (net.run(moved.clone()).expect("logits")[class], moved[at])
            };
            let ((above, right), (below, left)) = (logit(STEP), logit(-STEP));
            let difference = (above - below) / (right - left);
            assert!(
                (difference - slope).abs() <= tolerance,
                "class {class}, {at}: {slope}, {difference} ± {tolerance}"
            );
            spread = spread.max(slope.abs());
        }
        assert!(spread > 1e3 * tolerance, "the tolerance tells right from wrong: {spread}, {tolerance}");
    }
}

/// The page's picture of it: half a step of the scale for quantising, and half for single precision and then some.
#[test]
fn the_picture_of_a_saliency_is_that_gradient() {
    let model = model();
    let weights = glorot_uniform(&model, 5).expect("weights");
    let pixels: Vec<u8> = (0..64).map(|p| (p * 83 % 256) as u8).collect();
    let (mut exact, mut single) = (Inside::<f64>::new(&model).expect("a net"), Inside::new(&model).expect("a net"));
    exact.set_weights(&weights).expect("they fit");
    single.set_weights(&weights).expect("they fit");
    exact.run(exact.normalised(&pixels)).expect("logits");
    single.run(single.normalised(&pixels)).expect("logits");
    for class in 0..4 {
        let gradient = exact.saliency(class).expect("a gradient");
        let largest = gradient.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let picture = pictures::saliency(&model, &mut single, class).expect("a picture");
        for (byte, slope) in picture.bytes().into_iter().zip(&gradient) {
            let shown = 128.0 + 127.0 * slope / largest;
            assert!((f64::from(byte) - shown).abs() <= 1.0, "class {class}: {byte}, {shown} is expected");
        }
    }
    assert!(single.saliency(4).is_err() && single.layer(5).is_err() && single.run(vec![0.0; 3]).is_err());
}

fn record(name: &str, lr: f64) -> RunRecord {
    let mut config = RunConfig { model: name.into(), ..RunConfig::default() };
    config.train.lr = Some(lr);
    RunRecord::begun(std::path::Path::new("/runs").join(name).as_path(), &config, r#"{"device":{"name":"d"}}"#)
        .expect("a run")
}

/// The values of an attribute, wherever it stands in a tag.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("{name}=\"");
    let parts: Vec<&str> = html.split(&begin).skip(1).collect();
    parts.into_iter().map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

#[test]
fn the_page_is_one_file_that_loads_nothing() {
    let data = data();
    let (_, _, mut findings) = trained(&devices()[1], &data);
    let evil = "</script><img src=\"http://elsewhere.example/x\">{{script}}{{data}}";
    findings.classes[0] = evil.into();
    let report = ReportData::of(record("mnist-cnn", 0.001), findings);
    let html = page::html(&report).expect("a page");
    let found: Vec<&str> = ["src", "href"].iter().flat_map(|name| attributes(&html, name)).collect();
    assert!(found.iter().all(|link| !link.contains("http")), "{found:?}");
    assert!(html.contains("default-src 'none'") && html.contains("connect-src 'none'"));
    assert_eq!(html.matches("</script>").count(), 2, "the data closes no script");
    assert!(!html.contains("{{connect}}") && !html.contains("{{style}}"));
    // What the script is given is what was gathered.
    let json = html.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("the data");
    let parsed: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(parsed["findings"]["classes"][0], evil);
    assert_eq!(parsed["findings"]["confusion"]["samples"], 75);
    let live = page::html(&ReportData { live: true, ..report }).expect("a page");
    assert!(live.contains("connect-src 'self'"));
}

#[test]
fn compared_runs_show_the_settings_that_differ() {
    let compared = ReportData::comparing(vec![record("mnist-cnn", 0.001), record("mnist-deep", 0.001)]);
    let keys: Vec<&str> = compared.differences.iter().map(|one| &one.key[..]).collect();
    assert_eq!(keys, ["model"]);
    assert_eq!(compared.differences[0].values, [Some("mnist-cnn".into()), Some("mnist-deep".into())]);
    let compared = ReportData::comparing(vec![record("a", 0.5), record("a", 0.25), record("a", 0.5)]);
    assert_eq!(compared.differences.len(), 1);
    assert_eq!(compared.differences[0].key, "train.lr");
}
