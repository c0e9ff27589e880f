//! The live page over real connections: its answers, its refusals, and that it does not affect training.
#![cfg(feature = "watch")]

#[path = "common/adapter.rs"]
mod adapter;
#[path = "common/noise.rs"]
mod noise;

use noise::noise;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wgrad::data::options::TextOptions;
use wgrad::data::{Dataset, ReadOptions};
use wgrad::device::Device;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Score;
use wgrad::model::{Model, Sequential, Weights};
use wgrad::report::folder::RunRecord;
use wgrad::train::epochs::trainer::{Event, Sample, Trainer};
use wgrad::train::generate::{Generator, Sampling};
use wgrad::train::predict::{Predictor, TrainedModel};
use wgrad::train::run::RunConfig;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::state::snapshot::Snapshot;
use wgrad::train::translate::Translator;
use wgrad::watch::live::Live;
use wgrad::watch::server::{Bound, Server};

fn data() -> Dataset {
    noise([8, 8, 1], 4, [64, 20])
}

fn model() -> Model {
    Sequential::new([8, 8, 1]).name("small").conv2d(3, 3).relu().flatten().dense(4).build().expect("a model")
}

/// A live page of a run, and its trainer.
struct Page<T = Trainer> {
    port: u16,
    live: Arc<Live>,
    trainer: T,
    _server: Server,
}

impl Page {
    fn new() -> Page {
        let options = TrainOptions { epochs: 3, batch_size: 16, ..TrainOptions::default() };
        let device = Device::cpu(1).expect("a thread");
        let mut trainer = Trainer::new(&device, &model(), &data(), &options, None).expect("a trainer");
        let snapshot = Arc::new(Snapshot::default());
        pollster::block_on(trainer.share(snapshot.clone())).expect("shared");
        Page::of(&model(), &data(), snapshot, trainer)
    }

    fn train(&mut self) {
        let live = self.live.clone();
        let fitted = self.trainer.fit(|event| {
            live.event(&event);
            ControlFlow::Continue(())
        });
        pollster::block_on(fitted).expect("a run");
    }
}

impl<T> Page<T> {
    fn of(model: &Model, data: &Dataset, snapshot: Arc<Snapshot>, trainer: T) -> Page<T> {
        Page::within(model, data, snapshot, trainer, Duration::from_secs(10))
    }

    fn within(model: &Model, data: &Dataset, snapshot: Arc<Snapshot>, trainer: T, patience: Duration) -> Page<T> {
        let record = RunRecord::begun(Path::new("runs/small/1"), &RunConfig::default(), "{}").expect("a record");
        let live = Arc::new(Live::new(model, data, record, 3, snapshot).expect("a live page"));
        let bound = Bound::new(Some(0)).expect("a free port").with_patience(patience);
        let port = bound.address().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let server = bound.serve(live.clone()).expect("a server");
        Page { port: port.expect("a port"), live, trainer, _server: server }
    }

    /// Sends bytes, and returns status and body.
    fn send(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        // A server that has answered already may have closed its ear.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).into())
    }

    /// A request of this page's own, with further headers.
    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let (port, length) = (self.port, body.len());
        let head = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.send(&[head.as_bytes(), body].concat())
    }

    fn state(&self, query: &str) -> Value {
        let (status, body) = self.ask(&format!("GET /state{query}"), "", b"");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }
}

#[test]
fn the_page_follows_a_run() {
    let mut page = Page::new();
    let (status, html) = page.ask("GET /", "", b"");
    assert!(status == 200 && html.contains("<main") && html.contains("connect-src 'self'"), "{status}");
    let before = page.state("?weights=-1");
    assert_eq!((&before["weights"], &before["ended"]), (&Value::from(0), &Value::from(false)));
    assert_eq!(before["epochs"].as_array().map(Vec::len), Some(0));
    page.train();
    let after = page.state("?weights=0");
    assert_eq!(after["epochs"].as_array().map(Vec::len), Some(3));
    assert_eq!(after["steps"].as_array().map(Vec::len), Some(12));
    assert_eq!(after["steps"][11][0], 3.0, "in epochs");
    assert_eq!((&after["weights"], &after["progress"]["done"]), (&Value::from(12), &Value::from(4)));
    assert_ne!(before["filters"], after["filters"], "the filters change");
    assert!(page.state("?weights=12").get("filters").is_none(), "what is known is not sent again");
    page.live.end("over", None);
    assert_eq!(page.state("")["ended"], true);
}

#[test]
fn a_drawing_is_read_as_the_net_reads_it() {
    let mut page = Page::new();
    page.train();
    let drawing: Vec<u8> = (0..1600).map(|at| if (at % 40) / 3 == 5 { 255 } else { 0 }).collect();
    let (status, body) = page.ask("POST /draw", &format!("Origin: http://127.0.0.1:{}\r\n", page.port), &drawing);
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let probabilities: Vec<f64> =
        found["probabilities"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{probabilities:?}");

    let picture = wgrad::data::pictures::picture::Picture::grey(40, 40, &drawing).expect("a picture");
    let image =
        wgrad::data::pictures::prepare::prepare(&picture, [8, 8, 1], wgrad::data::Prepare::Resize).expect("ink").pixels;
    let weights = pollster::block_on(page.trainer.weights()).expect("weights");
    let net = wgrad::train::predict::TrainedModel { model: model(), weights };
    let expected = net.predict(&image).expect("probabilities");
    for (found, expected) in probabilities.iter().zip(&expected[0]) {
        // Softmax in double and in single precision over the same logits.
        assert!((found - f64::from(*expected)).abs() < 1e-5, "{probabilities:?}, {expected:?}");
    }
}

/// The file of a picture is prepared as `predict` does it; what is not a picture is refused.
#[test]
fn a_picture_is_read_as_predict_reads_it() {
    let mut page = Page::new();
    page.train();
    // A portable grey map: 16 × 16, brighter to the right.
    let pixels: Vec<u8> = (0..256).map(|at| (at % 16 * 16) as u8).collect();
    let file = [b"P5 16 16 255\n".as_slice(), &pixels].concat();
    let (status, body) = page.ask("POST /picture", "", &file);
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let picture = wgrad::data::pictures::picture::Picture::decode(&file).expect("a picture");
    let image =
        wgrad::data::pictures::prepare::prepare(&picture, [8, 8, 1], wgrad::data::Prepare::Resize).expect("an image");
    assert_eq!(found["how"], image.how.as_str());
    let weights = pollster::block_on(page.trainer.weights()).expect("weights");
    let net = wgrad::train::predict::TrainedModel { model: model(), weights };
    for (class, expected) in net.predict(&image.pixels).expect("probabilities")[0].iter().enumerate() {
        let given = found["probabilities"][class].as_f64().expect("a number");
        // Softmax in double and in single precision over the same logits.
        assert!((given - f64::from(*expected)).abs() < 1e-5, "class {class}: {given}, {expected}");
    }
    for (line, body, expected) in
        [("POST /picture", &b"nonsense"[..], 400), ("POST /picture", b"", 400), ("GET /picture", b"", 405)]
    {
        assert_eq!(page.ask(line, "", body).0, expected, "{line}");
    }
}

/// Clients that ask again and again and never read hold every place that they get, but not for good.
#[test]
fn readers_that_never_read_lose_their_place() {
    let page = Page::within(&model(), &data(), Arc::new(Snapshot::default()), (), Duration::from_millis(500));
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", page.port);
    let _hogs: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut hog = TcpStream::connect(("127.0.0.1", page.port)).expect("a connection");
            hog.set_nonblocking(true).expect("it does not wait");
            // More answers than the system's buffers hold.
            (0..300).for_each(|_| drop(hog.write(request.as_bytes())));
            hog
        })
        .collect();
    let begun = std::time::Instant::now();
    while page.ask("GET /state", "", b"").0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no place became free");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn only_the_page_gets_an_answer() {
    let page = Page::new();
    let port = page.port;
    let drawing: Vec<u8> = (0..100).map(|at| if at % 10 == 5 { 255 } else { 0 }).collect();
    for (headers, expected) in [
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("", 200),
    ] {
        for (line, body) in [("GET /", &[][..]), ("GET /state", &[]), ("POST /draw", &drawing)] {
            let (status, text) = page.ask(line, headers, body);
            assert_eq!(status, expected, "{line} {headers}: {text}");
            assert!(expected == 200 || !text.contains("epochs"), "{text}");
        }
    }
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", &format!("127.0.0.1:{}", port ^ 1)] {
        let (status, _) = page.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!(status, 403, "{host}");
    }
    assert_eq!(page.send(b"GET / HTTP/1.0\r\n\r\n").0, 403, "no host at all");
}

#[test]
fn bad_requests_do_no_harm() {
    let page = Page::new();
    for (line, body, expected) in [
        ("GET /nowhere", vec![], 404),
        ("GET /draw", vec![], 405),
        ("POST /", vec![], 405),
        ("OPTIONS /draw", vec![], 405),
        ("POST /draw", vec![], 400),
        ("POST /draw", vec![0; 100], 400),
        ("POST /draw", vec![255; 99], 400),
        ("POST /draw", vec![255; 512 * 512 + 1], 413),
        ("GET /state?weights=nonsense", vec![], 200),
        ("GET /state?weights=99999999999999999999999", vec![], 200),
    ] {
        assert_eq!(page.ask(line, "", &body).0, expected, "{line}, {} bytes", body.len());
    }
    for bytes in [&b"\0\0\0\0\r\n\r\n"[..], b"nonsense\r\n\r\n", &[b'a'; 200_000]] {
        assert!([0, 400, 431].contains(&page.send(bytes).0));
    }
    // One that says nothing, and one that goes away in the middle.
    let silent = TcpStream::connect(("127.0.0.1", page.port)).expect("a connection");
    let mut rude = TcpStream::connect(("127.0.0.1", page.port)).expect("a connection");
    rude.write_all(b"POST /draw HTTP/1.1\r\nContent-Length: 50\r\n\r\nabc").expect("it is sent");
    drop(rude);
    assert_eq!(page.ask("GET /", "", b"").0, 200, "it still answers");
    drop(silent);
}

#[test]
fn a_port_that_is_taken_is_named_or_passed_over() {
    let first = Bound::new(Some(0)).expect("a free port");
    let port: u16 =
        first.address().trim_end_matches('/').rsplit(':').next().expect("a port").parse().expect("a number");
    let error = Bound::new(Some(port)).expect_err("it is taken");
    assert!(matches!(&error, wgrad::Error::Input(why) if why.contains(&port.to_string())), "{error}");
    let [one, two] = [(); 2].map(|()| Bound::new(None).expect("a port"));
    assert_ne!(one.address(), two.address());
    drop(first);
    Bound::new(Some(port)).expect("it is free again");
}

/// A run that is watched all the time ends with the same bytes as one that is not watched.
#[test]
fn looking_on_changes_no_byte() {
    let options = TrainOptions { epochs: 40, batch_size: 4, ..TrainOptions::default() };
    let adapter = adapter::device();
    let run = |device: &Device, snapshot: Option<Arc<Snapshot>>| {
        let mut trainer = Trainer::new(device, &model(), &data(), &options, None).expect("a trainer");
        if let Some(snapshot) = &snapshot {
            pollster::block_on(trainer.share(snapshot.clone())).expect("shared");
        }
        let fitted = trainer.fit(|_| {
            snapshot.iter().for_each(|snapshot| drop(snapshot.latest()));
            ControlFlow::Continue(())
        });
        pollster::block_on(fitted).expect("a run");
        pollster::block_on(trainer.weights()).expect("weights").to_bytes(&model()).expect("a file")
    };
    for device in [adapter, Device::cpu(1).expect("a thread")] {
        let snapshot = Arc::new(Snapshot::every(Duration::ZERO));
        assert!(run(&device, None) == run(&device, Some(snapshot.clone())), "{}", device.name());
        assert_eq!(snapshot.latest().map(|(step, _)| step), Some(640));
    }
}

/// Texts of each task, a model of each, and weights of it large enough that answers differ.
fn of_texts(lines: &str, file: &str, net: Sequential) -> (Model, Dataset, Weights) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::write(&path, lines).expect("a file");
    let net = net.build().expect("a model");
    let text = TextOptions { vocabulary: 50, length: Some(net.input[0]), ..TextOptions::default() };
    let options = ReadOptions { text, ..ReadOptions::default() };
    let data = Dataset::open_with(path.to_str().expect("a path"), &options).expect("texts");
    let suited = net.suited(&data, None).expect("a model of these texts");
    let model = Model { class_names: data.class_names.clone(), ..suited };
    let mut weights = glorot_uniform(&model, 5).expect("weights");
    weights.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|x| *x *= 3.0);
    (model, data, weights)
}

/// The page of a run at step 7 that has these weights.
fn page_of(model: &Model, data: &Dataset, weights: &Weights) -> Page<()> {
    let snapshot = Arc::new(Snapshot::default());
    snapshot.put(7, weights.clone());
    Page::of(model, data, snapshot, ())
}

fn answered(page: &Page<()>, question: &Value) -> Value {
    let (status, body) = page.ask("POST /text", "", question.to_string().as_bytes());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn a_text_is_continued_as_generate_does_it() {
    let net = Sequential::text(8).embedding(4, 6).gru(9, 1).dense(4).name("small");
    let (model, data, weights) = of_texts(&"abc\n".repeat(40), "a.txt", net);
    let page = page_of(&model, &data, &weights);
    let cpu = Device::cpu(1).expect("a thread");
    for (prompt, temperature, seed) in [("ab", 1.0, 3), ("", 0.0, 0)] {
        let sampling = Sampling { tokens: 30, temperature: temperature as f32, seed, ..Sampling::default() };
        let mut generator = Generator::new(&cpu, &model, sampling, 2).expect("a generator");
        generator.set_weights(&weights).expect("they fit");
        let expected = pollster::block_on(generator.text(prompt)).expect("a text");
        let found = answered(&page, &json!({ "text": prompt, "tokens": 30, "temperature": temperature, "seed": seed }));
        assert_eq!((&found["text"], &found["prompt"]), (&json!(expected), &json!(prompt)));
        assert_eq!((&found["tokens"], &found["step"], &found["stopped"]), (&json!(30), &json!(7), &Value::Null));
    }
    assert_eq!(page.state("?weights=7")["weights"], 7, "the page asks again if they change");
    let sample = Sample { text: "abca".into(), of: None };
    page.live.event(&Event::Sample { epoch: 1, step: 7, sample: &sample });
    assert_eq!(page.state("")["texts"], json!([{ "epoch": 1, "step": 7, "text": "abca" }]));
    for (question, status, expected) in [
        (json!({ "text": "a?", "tokens": 3 }), 400, "does not know its characters \"?\""),
        (json!({ "text": "a", "tokens": 0 }), 400, "tokens 0: expected 1 to 2000"),
        (json!({ "text": "a", "tokens": 2001 }), 400, "tokens 2001"),
        (json!({ "text": "a", "temperature": -1 }), 400, "temperature -1"),
        (json!({ "words": "a" }), 400, "the question"),
        (json!({ "text": "a".repeat(16 << 10) }), 413, "more than 16384 bytes"),
    ] {
        let (found, body) = page.ask("POST /text", "", question.to_string().as_bytes());
        assert!(found == status && body.contains(expected), "{found}: {body}");
    }
    assert_eq!(page.ask("GET /text", "", b"").0, 405);
    assert_eq!(page.ask("POST /text", "Origin: http://evil.example\r\n", br#"{"text":"a"}"#).0, 403);
}

#[test]
fn a_text_is_classified_as_predict_does_it() {
    let lines: String = (0..20).map(|n| format!("{}\tfilm {n} was\n", ["bad", "good"][n % 2])).collect();
    let net = Sequential::text(3).embedding(19, 6).gru(5, 1).mean_pool().dense(2).name("small");
    let (model, data, weights) = of_texts(&lines, "a.tsv", net);
    let page = page_of(&model, &data, &weights);
    let net = TrainedModel { model, weights };
    let mut predictor = Predictor::new(&Device::cpu(1).expect("a thread"), &net, 1).expect("a predictor");
    let text = "strange film was was";
    let (expected, _) = pollster::block_on(predictor.texts(&[text])).expect("probabilities");
    let found = answered(&page, &json!({ "text": text }));
    assert_eq!((&found["classes"], &found["read"]), (&json!(["bad", "good"]), &json!("<unk> film was")));
    let shares: Vec<f32> = serde_json::from_value(found["probabilities"].clone()).expect("numbers");
    assert_eq!(shares, expected[0]);
    assert_eq!(found["notes"], json!(["cut after 3 of 4 words", "1 word not in the vocabulary"]));
    let (status, body) = page.ask("POST /text", "", br#"{"text":" "}"#);
    assert!(status == 400 && body.contains("the text is empty"), "{body}");
}

#[test]
fn a_text_is_translated_as_predict_does_it() {
    let lines: String = (0..30).map(|n| format!("one {n} two\tdos {n} uno\n")).collect();
    let net = Sequential::text(4).embedding(30, 6).gru(5, 1).named("encoder").target().embedding(30, 6).gru(5, 1);
    let net = net.named("decoder").attention_from("encoder", Score::Dot).concat_from("decoder").dense(30).name("small");
    let (model, data, weights) = of_texts(&lines, "a.tsv", net);
    let page = page_of(&model, &data, &weights);
    let mut translator = Translator::new(&Device::cpu(1).expect("a thread"), &model, 1, 1).expect("a translator");
    translator.set_weights(&weights).expect("they fit");
    let (expected, _) = pollster::block_on(translator.texts(&["two one"])).expect("a translation");
    let found = answered(&page, &json!({ "text": "two one" }));
    assert_eq!((&found["pair"]["texts"], &found["read"]), (&json!(["two one", expected[0].text]), &json!("two one")));
    let pair = &found["pair"];
    assert_eq!(pair["source"], json!(["two", "one"]));
    let weights = pair["weights"].as_array().expect("rows");
    assert!(!weights.is_empty() && weights.len() == pair["translation"].as_array().map_or(0, Vec::len), "{pair}");
    for row in weights {
        // Two shares in thousandths, each rounded.
        let sum: u64 = row.as_array().into_iter().flatten().filter_map(Value::as_u64).sum();
        assert!((999..=1001).contains(&sum), "{row}");
    }
}
