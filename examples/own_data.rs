//! Training on your own data: a data set from arrays in memory, a net for it, and its mistakes.
//!
//!     cargo run --release --example own_data

use std::ops::ControlFlow;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::model::Sequential;
use wgrad::train::epochs::confusion::Confusion;
use wgrad::train::epochs::trainer::Event;
use wgrad::train::settings::options::TrainOptions;

/// Height, width and channels of an image.
const SHAPE: [usize; 3] = [16, 16, 3];

/// The names of the classes.
const NAMES: [&str; 3] = ["stripes across", "stripes down", "a disc"];

/// `count` images with their labels. An application reads its own here: a byte for each value, images one after the
/// other, each row by row, the channels of a pixel together; and a label below 256 for each image.
fn split(count: usize, seed: u32) -> wgrad::Result<Split> {
    let mut state = seed;
    let mut random = |below: u32| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 16) % below
    };
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let class = random(3);
        let (shift, middle, ink) =
            (random(6), [5 + random(6), 5 + random(6)], [random(2), random(2), 1].map(|c| 90 + 80 * c));
        for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
            let inked = match class {
                0 => (y + shift) % 6 < 2,
                1 => (x + shift) % 6 < 2,
                _ => y.abs_diff(middle[0]).pow(2) + x.abs_diff(middle[1]).pow(2) < 16,
            };
            pixels.extend(ink.map(|ink| (if inked { ink } else { 20 } + random(60)) as u8));
        }
        labels.push(class as u8);
    }
    Split::new(SHAPE, pixels, labels)
}

fn main() -> wgrad::Result<()> {
    let mut data = Dataset::new("shapes", split(1200, 1)?, split(300, 2)?)?;
    data.class_names = NAMES.map(String::from).into();

    let mut model =
        Sequential::new(SHAPE).name("shapes").conv2d(8, 3).relu().max_pool2d(2).flatten().dense(3).build()?;
    // The names go into the weight file, and `wgrad predict` says them.
    model.class_names = data.class_names.clone();

    let (device, choice) = pollster::block_on(Device::open(&DeviceRequest::default(), 0))?;
    println!("{}", choice.line());
    let options = TrainOptions { epochs: 6, batch_size: 32, ..TrainOptions::default() };
    let (trained, _) = pollster::block_on(model.fit(&data, &options, &device, |event| {
        if let Event::Epoch(m) = event {
            println!("epoch {}: loss {:.4}, accuracy on the test set {:.4}", m.epoch, m.loss, m.val_accuracy);
        }
        ControlFlow::Continue(())
    }))?;

    let probabilities = trained.predict(data.test.pixels())?;
    let confusion = Confusion::from_scores(data.classes, &data.test.labels(), &probabilities)?;
    println!("{}", confusion.table(|class| NAMES[class].into()));

    let file = std::env::temp_dir().join("wgrad-shapes.safetensors");
    trained.save(&file)?;
    println!("saved {}", file.display());
    Ok(())
}
