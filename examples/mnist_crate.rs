//! Training on data read by another crate: the `mnist` crate's bytes become the fields of a sample.
//!
//!     cargo run --release --example mnist_crate FOLDER
//!
//! FOLDER holds MNIST's four files, unpacked, under the names that LeCun gave them.

use mnist::{Mnist, MnistBuilder};
use std::ops::ControlFlow;
use wgrad::data::schema::{Element, Field};
use wgrad::data::{Column, Dataset, Split};
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::error::Error;
use wgrad::model::Model;
use wgrad::train::epochs::trainer::Event;
use wgrad::train::settings::options::TrainOptions;

/// A column for each field of the samples: an image of 28 × 28 grey bytes, and the class that it shows. Bytes lie one sample
/// after the other; a field of other numbers has another element, such as `Element::F32`, little-endian.
fn split(images: Vec<u8>, labels: Vec<u8>) -> wgrad::Result<Split> {
    let image = Column::new(Field::image([28, 28, 1]), images)?;
    let label = Column::new(Field::label(&[], Element::U8), labels)?;
    Split::of(vec![image, label])
}

fn main() -> wgrad::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| Error::input("expected the folder of MNIST's four files"))?;
    let read = MnistBuilder::new().base_path(&folder).training_set_length(6000).test_set_length(1000).finalize();
    let Mnist { trn_img, trn_lbl, tst_img, tst_lbl, .. } = read;
    let data = Dataset::new("mnist", split(trn_img, trn_lbl)?, split(tst_img, tst_lbl)?)?;

    let model = Model::preset("mnist-cnn", [28, 28, 1], data.classes)?;
    let (device, choice) = pollster::block_on(Device::open(&DeviceRequest::default(), 0))?;
    println!("{}", choice.line());
    let options = TrainOptions { epochs: 2, ..TrainOptions::default() };
    let (trained, _) = pollster::block_on(model.fit(&data, &options, &device, |event| {
        if let Event::Epoch(m) = event {
            println!("epoch {}: loss {:.4}, accuracy on the test set {:.4}", m.epoch, m.loss, m.val_accuracy);
        }
        ControlFlow::Continue(())
    }))?;

    let first = &trained.predict(&data.test.image(0)?)?[0];
    let class = (1..first.len()).fold(0, |best, class| if first[class] > first[best] { class } else { best });
    println!("the first test image is a {}, taken for a {class}", data.test.labels_of(0)[0]);
    Ok(())
}
