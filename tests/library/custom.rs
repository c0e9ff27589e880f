//! Custom layers of an application: trained like any other, and refused where only wgrad's own layers work.

use std::ops::ControlFlow;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::error::Result;
use wgrad::ir::graph::{Graph, Tensor};
use wgrad::model::layers::Dense;
use wgrad::model::{Build, Inferred, Inputs, Layer, Model, Sequential};
use wgrad::ops::matmul::matmul_nt::MatmulNt;
use wgrad::train::settings::options::TrainOptions;

/// wgrad's own dense layer, written as an application would.
#[derive(Debug)]
struct MyDense {
    units: usize,
    /// The number that it declares; `units`, unless it is wrong.
    says: usize,
}

impl Layer for MyDense {
    fn type_name(&self) -> &'static str {
        "my_dense"
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let own = Dense::new(self.units).infer(inputs)?;
        Ok(Inferred { shape: vec![self.says], ..own })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(MatmulNt::default(), &at.arguments())?[0])
    }
}

fn net(dense: impl Fn(Sequential) -> Sequential) -> Result<Model> {
    dense(Sequential::new([6, 6, 1]).name("net").conv2d(4, 3).relu().flatten()).relu().dense(3).build()
}

#[test]
fn a_custom_layer_trains_as_a_built_in_one() {
    let split = |count: usize| {
        let pixels = (0..count * 36).map(|i| (i * 2_654_435_761 % 65_536 / 257) as u8).collect();
        Split::new([6, 6, 1], pixels, (0..count).map(|i| (i * 7 % 3) as u8).collect()).unwrap()
    };
    let data = Dataset::new("noise", split(40), split(8)).unwrap();
    let own = net(|net| net.dense(5)).unwrap();
    let custom = net(|net| net.custom(MyDense { units: 5, says: 5 })).unwrap();
    assert!(custom.summary().unwrap().contains("3 (my_dense)"));
    assert_eq!(custom, custom.clone());
    assert_ne!(custom, net(|net| net.custom(MyDense { units: 5, says: 5 })).unwrap());
    for device in [crate::adapter::device(), Device::cpu(2).unwrap()] {
        let options = TrainOptions { epochs: 2, batch_size: 8, ..TrainOptions::default() };
        let weights = |model: &Model| {
            let fitted = model.fit(&data, &options, &device, |_| ControlFlow::Continue(()));
            pollster::block_on(fitted).unwrap().0.weights
        };
        assert!(weights(&own) == weights(&custom), "{}", device.name());
    }
}

#[test]
fn no_file_describes_a_custom_layer() {
    let model = net(|net| net.custom(MyDense { units: 5, says: 5 })).unwrap();
    let error = model.to_json().unwrap_err().to_string();
    assert_eq!(error, "model net: layer 3 (my_dense) is an application's own, which no file can describe");
    let folder = tempfile::tempdir().unwrap();
    let weights = wgrad::model::init::glorot_uniform(&model, 0).unwrap();
    assert!(weights.save(&folder.path().join("x"), &model).unwrap_err().to_string().contains("which no file can"));
    #[cfg(feature = "onnx")]
    {
        let trained = wgrad::train::predict::TrainedModel { model: model.clone(), weights };
        assert!(trained.to_onnx().unwrap_err().to_string().contains("3_my_dense: it has no form in ONNX"));
    }
    assert!(Model::from_toml(&model.to_toml(), "net.toml", "net").unwrap_err().to_string().contains("\"my_dense\""));
}

#[test]
fn what_a_custom_layer_says_is_checked() {
    let image = Sequential::new([6, 6, 1]).custom(MyDense { units: 5, says: 5 }).build().unwrap_err().to_string();
    assert!(image.contains("layer 0 (my_dense): ") && image.contains("a flatten must come before it"), "{image}");
    let huge = net(|net| net.custom(MyDense { units: 5, says: 1 << 40 })).unwrap_err().to_string();
    assert!(huge.contains("layer 3 (my_dense): found a result of shape [1099511627776]"), "{huge}");
    let wrong = net(|net| net.custom(MyDense { units: 5, says: 6 })).unwrap();
    let mut graph = Graph::new();
    let x = graph.tensor(wgrad::ir::graph::TensorInfo::floats("x", [2, 6, 6, 1]));
    let error = wrong.build(&mut graph, x, Build::INFERENCE).unwrap_err().to_string();
    assert!(error.contains("layer 3 (my_dense): found a result of [2, 5], expected [2, 6] as it infers"), "{error}");
}
