//! Trains a small net on MNIST until it is good enough, saves it, and classifies one image.
//!
//!     cargo run --release --example train

use std::ops::ControlFlow;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::model::Model;
use wgrad::model::sequential::Sequential;
use wgrad::train::epochs::trainer::Event;
use wgrad::train::settings::options::TrainOptions;

fn main() -> wgrad::Result<()> {
    let data = Dataset::open("mnist")?;
    let model =
        Sequential::new(data.train.shape()).conv2d(16, 3).relu().max_pool2d(2).flatten().dense(data.classes).build()?;
    println!("{}", model.summary()?);

    // The best device there is; the choice says which, and why.
    let (device, choice) = pollster::block_on(Device::open(&DeviceRequest::default(), 0))?;
    println!("{}", choice.line());

    let options = TrainOptions { epochs: 3, ..TrainOptions::default() };
    let (trained, _) = pollster::block_on(model.fit(&data, &options, &device, |event| match event {
        Event::Epoch(m) => {
            println!("epoch {}: accuracy on the test set {:.4}", m.epoch, m.val_accuracy);
            if m.val_accuracy > 0.97 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        _ => ControlFlow::Continue(()),
    }))?;

    let file = std::env::temp_dir().join("wgrad-example.safetensors");
    trained.save(&file)?;
    let probabilities = &Model::load(&file)?.predict(&data.test.pixels()[..28 * 28])?[0];
    println!("the first test image is a {}; P(7) = {:.4}", data.test.labels()[0], probabilities[7]);
    Ok(())
}
