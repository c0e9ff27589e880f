//! Inference inside an application: loads a model once, and predicts many times.
//!
//!     cargo run --release -- train --epochs 1 --run-dir digits
//!     cargo run --release --example inference -- digits/model.safetensors 7

use std::process::ExitCode;
use wgrad::data::Dataset;
use wgrad::device::Device;
use wgrad::model::Model;
use wgrad::train::predict::Predictor;
use wgrad::{Error, Result};

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or_else(|| Error::input("the weight file is expected"))?;
    let count = arguments.next().map_or(Ok(3), |count| count.parse());
    let count: usize = count.map_err(|e| Error::input(format!("the number of images: {e}")))?;

    // The file describes its model, so that there is nothing else to know.
    let trained = Model::load(&file)?;

    // The native CPU needs no driver; `Device::open` takes the best device there is. What `Predictor::new` builds
    // stays: an answer costs one pass through the net, for up to as many images at a time as it was built for.
    let device = Device::cpu(0)?;
    let mut predictor = Predictor::new(&device, &trained, 16)?;

    // The application's own images come here: bytes 0–255, row by row, each pixel's channels together.
    let test = Dataset::open("mnist")?.test;
    let images = test.pixels().chunks(test.image_bytes()).zip(test.labels()).take(count);
    for (number, (pixels, label)) in images.enumerate() {
        let probabilities = &pollster::block_on(predictor.predict(pixels))?[0];
        let shares: Vec<String> = probabilities.iter().map(|p| format!("{p:.6}")).collect();
        println!("image {number}, a {label}: {}", shares.join(" "));
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
