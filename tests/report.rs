//! The report is correct: its counts against separate predictions, its saliency against finite differences, its page
//! as one file that loads nothing.
#![cfg(feature = "report")]

#[path = "common/adapter.rs"]
mod adapter;

use serde_json::Value;
use std::ops::ControlFlow;
use wgrad::data::options::TextOptions;
use wgrad::data::{Dataset, ReadOptions, Split};
use wgrad::device::Device;
use wgrad::model::formats::weights::{NamedTensor, Weights};
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Score;
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

/// The findings of a page about a net that was trained on the texts of a file, as the page's script reads them; its weights,
/// the data, and the loss of the last epoch on the test set.
fn page_of_texts(lines: &str, file: &str, net: Sequential) -> (Value, Model, Weights, Dataset, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::write(&path, lines).expect("a file");
    let net = net.name("small").build().expect("a model");
    let pairs = Some(net.translates());
    let text = TextOptions { vocabulary: 50, length: Some(net.input[0]), pairs, ..TextOptions::default() };
    let options = ReadOptions { text, ..ReadOptions::default() };
    let data = Dataset::open_with(path.to_str().expect("a path"), &options).expect("texts");
    let model = net.suited(&data, None).expect("a model of these texts");
    let (device, options) =
        (&devices()[1], TrainOptions { epochs: 2, batch_size: 8, lr: Some(0.02), ..TrainOptions::default() });
    let mut trainer = Trainer::new(device, &model, &data, &options, None).expect("a trainer");
    let metrics = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).expect("a run");
    let weights = pollster::block_on(trainer.weights()).expect("weights");
    let findings =
        pollster::block_on(gather(&mut trainer, &device.name(), 8, &model, &weights, &data)).expect("findings");
    let html = page::html(&ReportData::of(record("small", 0.02), findings)).expect("a page");
    let json = html.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("the data");
    let page: Value = serde_json::from_str(json).expect("JSON");
    (page["findings"].clone(), model, weights, data, metrics.last().expect("two epochs").val_loss)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A recurrence of tanh in double precision, token by token, as its formula has it: the probabilities after each token.
fn by_hand(weights: &Weights, tokens: &[u32], [size, units]: [usize; 2]) -> Vec<Vec<f64>> {
    let of = |name: &str| -> Vec<f64> {
        weights.get(name).expect("a parameter").values.iter().map(|x| f64::from(*x)).collect()
    };
    let product = |w: &[f64], x: &[f64]| -> Vec<f64> {
        w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let [rows, wx, wh, bx, bh] =
        ["0.weight", "1.weight_ih_l0", "1.weight_hh_l0", "1.bias_ih_l0", "1.bias_hh_l0"].map(of);
    let [wy, by] = ["2.weight", "2.bias"].map(of);
    let mut h = vec![0.0; units];
    let mut step = |token: &u32| {
        let (x, y) = (product(&wx, &rows[*token as usize * size..][..size]), product(&wh, &h));
        h = (0..units).map(|n| (x[n] + bx[n] + y[n] + bh[n]).tanh()).collect();
        let logits: Vec<f64> = product(&wy, &h).iter().zip(&by).map(|(x, b)| x + b).collect();
        let all: f64 = logits.iter().map(|x| x.exp()).sum();
        logits.iter().map(|x| x.exp() / all).collect()
    };
    tokens.iter().map(&mut step).collect()
}

/// The passage of a page goes beyond one window of the net, and each of its numbers is that of the formula.
#[test]
fn the_losses_of_a_passage_are_those_of_the_formula() {
    let net = Sequential::text(8).embedding(9, 6).rnn(7, 1).dense(9);
    let (found, _, weights, data, _) = page_of_texts(&"abcd efg\n".repeat(60), "a.txt", net);
    let tokenizer = data.text.as_ref().expect("a tokenizer");
    let kept = "abcd efg\n".repeat(6);
    let expected = by_hand(&weights, &tokenizer.encode(&kept), [6, 7]);
    let passages = list(&found["passages"]);
    assert_eq!(passages.len(), 1);
    let tokens = list(&passages[0]["tokens"]);
    let text: String = tokens.iter().filter_map(|token| token["text"].as_str()).collect();
    assert_eq!(text, kept, "the last tenth");
    assert_eq!(tokens[0]["loss"], Value::Null, "nothing tells the first token");
    let mut sum = 0.0;
    for (at, token) in tokens.iter().enumerate().skip(1) {
        let name = token["name"].as_str().expect("a name");
        let p = &expected[at - 1];
        let loss = -p[tokenizer.encode(name)[0] as usize].ln();
        sum += loss;
        // Half a unit of the fourth digit, and some hundred roundings in single precision.
        let near = |found: f64, expected: f64| (found - expected).abs() <= 0.5e-4 + 2e-5;
        assert!(near(token["loss"].as_f64().expect("a loss"), loss), "token {at}: {token}, {loss}");
        let mut best: Vec<f64> = p.clone();
        best.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(list(&token["likely"]).len(), 3);
        for (likely, best) in list(&token["likely"]).iter().zip(&best) {
            assert!(near(likely[1].as_f64().expect("a probability"), *best), "token {at}: {likely}, {best}");
            let other = tokenizer.encode(likely[0].as_str().expect("a name"))[0];
            assert!(near(p[other as usize], *best), "token {at}: {likely}");
        }
    }
    let mean = sum / (tokens.len() - 1) as f64;
    assert!((passages[0]["loss"].as_f64().expect("a loss") - mean).abs() < 2e-5, "{mean}");
}

/// The passages of a translating net are its test pairs: their mean is the loss that the run measured.
#[test]
fn the_losses_of_translations_come_to_the_loss_of_the_test_set() {
    let lines: String = (0..50).map(|n| format!("one {} two\tdos {} uno\n", n % 9, n % 9)).collect();
    let net = Sequential::text(4).embedding(11, 6).gru(5, 1).named("encoder").target().embedding(13, 6).gru(5, 1);
    let net = net.starting_at("encoder").named("decoder").attention_from("encoder", Score::Dot);
    let (found, model, _, data, val_loss) = page_of_texts(&lines, "a.tsv", net.concat_from("decoder").dense(13));
    let passages = list(&found["passages"]);
    assert_eq!(passages.len(), data.test.count);
    let losses: Vec<f64> =
        passages.iter().flat_map(|one| list(&one["tokens"])).filter_map(|token| token["loss"].as_f64()).collect();
    assert_eq!(losses.len(), 4 * passages.len(), "three words and the end");
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    // Half a unit of the fourth digit, and roundings in single precision.
    assert!((mean - val_loss).abs() < 0.5e-4 + 2e-5, "{mean}, {val_loss}");
    for one in passages {
        let [source, text] = [&one["source"], &Value::Null].map(Value::as_str);
        assert!(source.is_some_and(|source| source.starts_with("one ")) && text.is_none());
        assert_eq!(list(&one["tokens"])[3]["name"], "<end>");
    }
    let pictures = list(&found["embeddings"]);
    let sizes: Vec<&Value> = pictures.iter().map(|one| &one["tokens"]).collect();
    assert_eq!(sizes, [model.vocabulary(), model.target_vocabulary()], "that of the source and that of the target");
}

/// The page's coordinates are those along two principal components: they are not correlated, each is along a direction that
/// the covariance keeps, and their variances are the stated shares.
#[test]
fn embeddings_lie_along_their_principal_components() {
    let letters = ('a'..='z').collect::<String>().repeat(3);
    let text = letters + &"thecatsawadogandthedogsawthecat".repeat(40);
    let net = Sequential::text(8).embedding(26, 6).gru(7, 1).dense(26);
    let (found, _, weights, data, _) = page_of_texts(&text, "a.txt", net);
    let picture = &list(&found["embeddings"])[0];
    let tokenizer = data.text.as_ref().expect("a tokenizer");
    let points = list(&picture["points"]);
    assert_eq!((points.len(), &picture["size"], &picture["compared"]), (26, &6.into(), &26.into()));
    let column = data.train.column("text").expect("tokens");
    let all = column.field().stream.expect("a stream");
    let trained = tokenizer.decode(&column.words(0..column.count()).take(all).collect::<Vec<u32>>());
    let counts: Vec<u64> = points.iter().map(|point| point[2].as_u64().expect("a count")).collect();
    for (point, count) in points.iter().zip(&counts) {
        let name = point[0].as_str().expect("a name");
        assert_eq!(trained.matches(name).count() as u64, *count, "{name}");
    }
    assert!(counts.is_sorted_by(|a, b| a >= b), "the commonest first");

    let rows = &weights.get("0.weight").expect("an embedding").values;
    let rows: Vec<&[f32]> = points
        .iter()
        .map(|point| &rows[tokenizer.encode(point[0].as_str().expect("a name"))[0] as usize * 6..][..6])
        .collect();
    let mean: Vec<f64> = (0..6).map(|n| rows.iter().map(|row| f64::from(row[n])).sum::<f64>() / 26.0).collect();
    let centred: Vec<Vec<f64>> =
        rows.iter().map(|row| row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean).collect()).collect();
    let total: f64 = centred.iter().flatten().map(|x| x * x).sum();
    let [x, y] = [0, 1].map(|axis| -> Vec<f64> {
        points.iter().map(|point| point[1][axis].as_f64().expect("a coordinate")).collect()
    });
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    // Coordinates have five digits after the point.
    let rounding = 26.0 * 1e-5;
    assert!(dot(&x, &y).abs() < rounding * total.sqrt(), "{}", dot(&x, &y));
    let mut shares = Vec::new();
    for (axis, along) in [&x, &y].into_iter().enumerate() {
        let share = picture["shares"][axis].as_f64().expect("a share");
        assert!((dot(along, along) / total - share).abs() < rounding, "{share}");
        // Xᵀ(X Xᵀ)x is λ Xᵀx for a component, by its direction Xᵀx.
        let back = |along: &[f64]| -> Vec<f64> {
            (0..6).map(|n| centred.iter().zip(along).map(|(row, a)| row[n] * a).sum()).collect()
        };
        let direction = back(along);
        let again = back(&centred.iter().map(|row| dot(row, &direction)).collect::<Vec<f64>>());
        let cosine = dot(&direction, &again) / (dot(&direction, &direction) * dot(&again, &again)).sqrt();
        assert!(1.0 - cosine < 1e-6, "component {axis}: {cosine}");
        shares.push(share);
    }
    // No single number of the six spreads more than the first component, nor the others than six times their share.
    let most = (0..6).map(|n| centred.iter().map(|row| row[n] * row[n]).sum::<f64>() / total).fold(0.0, f64::max);
    assert!(shares[0] >= most && shares[0] >= shares[1] && shares[1] * 5.0 >= 1.0 - shares[0] - 1e-9, "{shares:?}");
}
