//! A run that can be stopped: it is started, stopped in the middle, resumed from its folder, and ends with the same
//! bytes as one that never stopped. The library alone does it.
//!
//!     cargo run --release --example resume -- cpu

use std::cell::Cell;
use std::path::Path;
use wgrad::data::{Dataset, Split};
use wgrad::device::Device;
use wgrad::device::choice::DeviceRequest;
use wgrad::model::Sequential;
use wgrad::train::epochs::trainer::Event;
use wgrad::train::finetune::First;
use wgrad::train::run::RunConfig;
use wgrad::train::run::checkpoints::Which;
use wgrad::train::session::{Ended, Session, Stopped};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::TrainOptions;
use wgrad::train::settings::overlay::Overlay;

/// Images of 8 × 8: class 0 is bright on the left, class 1 on the right.
fn data() -> wgrad::Result<Dataset> {
    let split = |count: usize| {
        let bright = |k: usize, p: usize| (p % 8 < 4) == (k.is_multiple_of(2));
        let pixel = move |k: usize, p: usize| (k * 97 + p * 31) as u8 % 100 + if bright(k, p) { 100 } else { 0 };
        let pixels = (0..count).flat_map(|k| (0..64).map(move |p| pixel(k, p))).collect();
        Split::new([8, 8, 1], pixels, (0..count).map(|k| (k % 2) as u8).collect())
    };
    Dataset::new("sides", split(200)?, split(40)?)
}

/// Drives a run, up to a number of steps if given.
fn drive(session: &mut Session, most: Option<u64>) -> wgrad::Result<Ended> {
    let step = Cell::new(0);
    pollster::block_on(session.drive(
        || most.is_some_and(|most| step.get() >= most),
        |event| {
            match event {
                Event::Steps { first, records, .. } => step.set(first + records.len() as u64 - 1),
                Event::Epoch(m) => println!("epoch {}: accuracy {:.3}", m.epoch, m.val_accuracy),
                Event::Checkpoint(_) | Event::Sample { .. } => {}
            }
            Ok(())
        },
    ))
}

fn main() -> wgrad::Result<()> {
    let request: DeviceRequest = std::env::args().nth(1).unwrap_or_else(|| "auto".into()).parse()?;
    let open = || pollster::block_on(Device::open(&request, 0));
    let folder = std::env::args().nth(2).map_or_else(|| std::env::temp_dir().join("wgrad-resume"), Into::into);
    let train = TrainOptions { epochs: 4, batch_size: 16, ..TrainOptions::default() };
    let config = RunConfig { checkpoint_every: Some(Interval::Steps(5)), train, ..RunConfig::default() };
    let begin = |run: &Path| -> wgrad::Result<Session> {
        let model = Sequential::new([8, 8, 1]).name("sides").conv2d(4, 3).relu().flatten().dense(2).build()?;
        let (device, choice) = open()?;
        let first = First { model, weights: None, notice: None };
        Session::begin(config.clone(), data()?, first, (device, &choice), Some(run))
    };

    let uncut = folder.join("uncut");
    drive(&mut begin(&uncut)?, None)?;

    let cut = folder.join("cut");
    if let Ended::Stopped { step } = drive(&mut begin(&cut)?, Some(20))? {
        println!("stopped at step {step}");
    }

    // Another process would begin here: all that it needs is in the folder, except for the data.
    let stopped = Stopped::open(&cut, Which::Last, &Overlay::new())?;
    println!("going on at step {} of {}", stopped.reached().step, stopped.goal().last);
    let (device, choice) = open()?;
    let (mut session, _) = stopped.go_on(data()?, (device, &choice))?;
    drive(&mut session, None)?;

    let read =
        |run: &Path| std::fs::read(run.join("model.safetensors")).map_err(|e| wgrad::Error::failed(e.to_string()));
    let same = read(&cut)? == read(&uncut)?;
    println!("{}", if same { "the same bytes" } else { "other bytes" });
    Ok(())
}
