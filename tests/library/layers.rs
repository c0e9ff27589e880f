//! Dropout and upsampling: what they build, and what files refuse of them.

use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::model::{Build, Mode, Model, Sequential};
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::step::Step;

/// In training it needs the control block; in inference there is no trace of it.
#[test]
fn dropout_is_of_training_alone() {
    let model = Sequential::new([4, 4, 2]).dropout(0.5).flatten().dense(3).build().unwrap();
    let built = |build: Build| {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [2, 4, 4, 2]));
        model.build(&mut graph, x, build).map(|_| graph.to_string())
    };
    assert!(!built(Build::INFERENCE).unwrap().contains("Dropout"));
    let none = Build { mode: Mode::Training, control: None };
    assert!(built(none).unwrap_err().to_string().contains("layer 0 (dropout): found no control block"));
    let step = Step::training(&model, 8, &TrainOptions { batch_size: 4, ..TrainOptions::default() }).unwrap();
    assert!(step.graph.to_string().contains("Dropout { rate: 0.5, salt: 0 }"));
    assert!(!Step::evaluation(&model, 8, 4).unwrap().graph.to_string().contains("Dropout"));
}

/// Shapes, file and description, and what a factor may not be.
#[test]
fn upsampling_repeats_pixels() {
    let net = Sequential::new([4, 4, 2]).name("net").max_pool2d(2).upsample2d([2, 3]).flatten().dense(3);
    let built = net.build().unwrap();
    assert_eq!(built.infer().unwrap()[1].shape, [4, 6, 2]);
    assert_eq!(Model::from_toml(&built.to_toml(), "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_json(&built.to_json().unwrap()).unwrap(), built);
    let layer = |factor: &str| format!("input = [4, 4, 2]\n[[layers]]\ntype = 'upsample2d'\n{factor}");
    for (factor, want) in [
        ("", "line 2: layer 0 (upsample2d): found no key factor, expected n or [h, w]"),
        ("factor = 0", "line 4: layer 0 (upsample2d): found factor = 0, expected n or [h, w]"),
        ("factor = 2000000000", "line 2: layer 0 (upsample2d): found a result of shape [8000000000, 8000000000, 2]"),
    ] {
        let error = Model::from_toml(&layer(factor), "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(want), "{factor}: {error}");
    }
}
