//! The page of a net of texts: its losses and embeddings against separate computations.

use super::{devices, record};
use serde_json::Value;
use std::ops::ControlFlow;
use wgrad::data::options::TextOptions;
use wgrad::data::{Dataset, ReadOptions};
use wgrad::model::formats::weights::Weights;
use wgrad::model::layers::{Score, Transformer};
use wgrad::model::{Model, Sequential};
use wgrad::report::{ReportData, gather, page};
use wgrad::train::epochs::trainer::Trainer;
use wgrad::train::settings::options::TrainOptions;

/// The findings of a page about a net that was trained on the texts of a file, as the page's script reads them; its weights,
/// the data, and the loss of the last epoch on the test set.
pub(super) fn page_of_texts(lines: &str, file: &str, net: Sequential) -> (Value, Model, Weights, Dataset, f64) {
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

/// A transformer reads as many tokens as it was made for: a passage is one window. The windows here are those of the test set, so
/// their losses come to the loss that the run measured, save for that of the last token of each, which is of the next window.
#[test]
fn the_passages_of_a_transformer_are_its_windows() {
    let block = Transformer { causal: true, ..Transformer::new(2usize, 12usize) };
    let net = Sequential::text(9).embedding_with_positions(9, 6).blocks(block, 2).dense(9);
    let (found, _, _, _, val_loss) = page_of_texts(&"abcd efg\n".repeat(60), "a.txt", net);
    let passages = list(&found["passages"]);
    assert_eq!(passages.len(), 6);
    let texts: Vec<String> = passages
        .iter()
        .map(|passage| list(&passage["tokens"]).iter().filter_map(|token| token["text"].as_str()).collect())
        .collect();
    assert_eq!(texts, ["abcd efg\n"; 6], "the last tenth");
    // Every window is the same: each place has one loss, and the last place tells the first token of the next.
    let losses = |passage: &Value| -> f64 { list(&passage["tokens"]).iter().filter_map(|t| t["loss"].as_f64()).sum() };
    let sum = losses(&passages[0]);
    assert!(passages.iter().all(|passage| (losses(passage) - sum).abs() < 1e-6));
    // 53 targets: nine of five windows and eight of the last.
    let last = (53.0 * val_loss - 6.0 * sum) / 5.0;
    assert!(last > 0.0 && last < 4.0, "{last}");
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
