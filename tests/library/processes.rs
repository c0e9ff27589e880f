//! Several processes, here threads, that train one model: the bytes of one process that accumulates as many batches.

use crate::adapter;
use crate::threads::{Thread, processes};
use std::ops::ControlFlow;
use std::sync::Arc;
use wgrad::data::{Column, Dataset, Field, Split};
use wgrad::device::Device;
use wgrad::error::Error;
use wgrad::model::init::glorot_uniform;
use wgrad::model::layers::Transformer;
use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::processes::{Communicator, all_done, gather_all};

use wgrad::text::{Tokenizer, Unit};
use wgrad::train::epochs::trainer::{Event, Trainer};
use wgrad::train::settings::interval::Interval;
use wgrad::train::settings::options::{OptimizerName, TrainOptions};
use wgrad::train::settings::schedule::ScheduleName;
use wgrad::train::state::checkpoint::Checkpoint;

/// Samples and those of a batch: an epoch has nine batches, the last of them short.
const SAMPLES: usize = 35;
const BATCH: usize = 4;

const TOKENS: usize = 7;

/// The call that gathers the first update's gradients: 14 compare what two processes have as they join, two their weights and one
/// their wish to halt as the run begins; the round's two come before.
const GATHERED: usize = 19;

fn devices() -> [Device; 2] {
    [adapter::device(), Device::cpu(2).expect("two threads")]
}

fn images(of_pixels: bool) -> Dataset {
    let split = |count: usize| {
        let pixels = (0..count * 64).map(|at| (at * at * 7 % 251) as u8).collect();
        let labels = |count: usize| (0..count).map(|at| (at * 5 % 3) as u8).collect();
        match of_pixels {
            true => Split::masked([8, 8, 1], pixels, labels(count * 64)).unwrap(),
            false => Split::new([8, 8, 1], pixels, labels(count)).unwrap(),
        }
    };
    Dataset::new("images", split(SAMPLES), split(10)).unwrap()
}

/// Texts of five tokens, the first three with an end before that.
fn texts() -> Dataset {
    let split = |count: usize| {
        let tokens = Field::of_texts(Unit::Words, TOKENS, 5);
        let token =
            |at: usize| if at % 5 > 2 && (at / 5).is_multiple_of(3) { 255 } else { (at * at * 3 % TOKENS) as u8 };
        let label = Field::label(&[], wgrad::data::schema::Element::U8);
        let columns = [
            Column::new(tokens, (0..count * 5).map(token).collect()),
            Column::new(label, (0..count).map(|at| (at % 3) as u8).collect()),
        ];
        Split::of(columns.map(Result::unwrap).into()).unwrap()
    };
    let mut data = Dataset::new("texts", split(SAMPLES), split(10)).unwrap();
    let names = ('a'..='g').map(String::from).collect();
    data.text = Some(Tokenizer::known(Unit::Words, names));
    data
}

fn base() -> TrainOptions {
    TrainOptions { batch_size: BATCH, epochs: 2, ..TrainOptions::default() }
}

/// Nets with all that passes from a batch to its update, and settings that the update has state for.
fn runs() -> Vec<(&'static str, Model, Dataset, TrainOptions)> {
    let image = || Sequential::new([8, 8, 1]).conv2d_with(4, 3, 1, Padding::Same).batch_norm().relu();
    let net = image().dropout(0.2).flatten().dense(3).build().unwrap();
    let mask = image().conv2d_with(3, 3, 1, Padding::Same).build().unwrap();
    let data = texts();
    let text = |net: Sequential| Model { text: data.text.clone(), ..net.build().unwrap() };
    let block = Transformer { dropout: 0.1, ..Transformer::new(2usize, 8usize) };
    let lstm = text(Sequential::text(5).embedding(TOKENS, 6).lstm(5, 1).last().dense(3));
    let attends = text(Sequential::text(5).embedding_with_positions(TOKENS, 8).blocks(block, 2).mean_pool().dense(3));
    let averaged = TrainOptions {
        ema: Some(0.9),
        clip_norm: Some(0.1),
        schedule: ScheduleName::Cosine,
        optimizer: OptimizerName::Adamw,
        ..base()
    };
    let weighted = TrainOptions { class_weights: "0.5,1,2".parse().unwrap(), ..base() };
    let windows = TrainOptions { device_data_limit: Some(64 * 4 * 2 * BATCH as u64), ..base() };
    vec![
        ("norms", net.clone(), images(false), averaged),
        ("weights", net.clone(), images(false), weighted),
        ("windows", net, images(false), windows),
        ("masks", mask, images(true), base()),
        ("recurrence", lstm, data.clone(), base()),
        ("attention", attends, data, base()),
    ]
}

fn trainer(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> Trainer {
    let init = glorot_uniform(model, 3).unwrap();
    Trainer::new(device, model, data, options, Some(&init)).unwrap()
}

/// A trainer that has joined the others.
fn joined(thread: Thread, device: &Device, (model, data, options): (&Model, &Dataset, &TrainOptions)) -> Trainer {
    let mut trainer = trainer(device, model, data, options);
    pollster::block_on(trainer.join(device, Arc::new(thread))).unwrap();
    trainer
}

/// Everything of a checkpoint but the time that was taken.
fn timeless(trainer: &Trainer) -> Checkpoint {
    let mut checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    let progress = &mut checkpoint.state.progress;
    progress.seconds = 0.0;
    progress.metrics.iter_mut().for_each(|metrics| (metrics.seconds, metrics.images_per_second) = (0.0, 0.0));
    checkpoint
}

/// Trains to the end, or until a step; what the observer saw are losses.
fn fit(trainer: &mut Trainer, until: u64) -> Vec<f32> {
    let mut losses = Vec::new();
    let fitted = pollster::block_on(trainer.fit(|event| {
        if let Event::Steps { first, records, .. } = event {
            losses.extend(records.iter().map(|record| record.loss));
            if first + records.len() as u64 > until {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }));
    fitted.unwrap();
    losses
}

#[test]
fn several_processes_leave_the_bytes_of_one_that_accumulates() {
    for device in devices() {
        for (name, model, data, options) in runs() {
            for size in [2, 3] {
                let options = TrainOptions { accumulate: size as u32, ..options.clone() };
                let mut one = trainer(&device, &model, &data, &options);
                let losses = fit(&mut one, u64::MAX);
                let expected = timeless(&one);
                assert_eq!(losses.len(), 18, "{name}");
                let all = processes(size, |thread| {
                    let mut trainer = joined(thread, &device, (&model, &data, &options));
                    let losses = fit(&mut trainer, u64::MAX);
                    (losses, timeless(&trainer))
                });
                for (rank, (found, checkpoint)) in all.into_iter().enumerate() {
                    let place = format!("{name}, process {rank} of {size}, {}", device.name());
                    assert_eq!(found, losses, "{place}");
                    assert!(checkpoint == expected, "{place}");
                }
            }
        }
    }
}

/// Within an update too: the sum of its gradients so far goes with the checkpoint.
#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let (_, model, data, options) = runs().remove(0);
    let options = TrainOptions { accumulate: 4, ..options };
    let device = Device::cpu(1).unwrap();
    let mut one = trainer(&device, &model, &data, &options);
    fit(&mut one, u64::MAX);
    let expected = timeless(&one);
    for [first, then] in [[2, 3], [3, 1], [1, 4], [4, 2]] {
        let run = |size: usize, from: Option<&Checkpoint>, until: u64| {
            let found = processes(size, |thread| {
                let mut trainer = trainer(&device, &model, &data, &options);
                from.iter().for_each(|from| trainer.restore(from).unwrap());
                if size > 1 {
                    pollster::block_on(trainer.join(&device, Arc::new(thread))).unwrap();
                }
                trainer.checkpoints(Some(Interval::Steps(1)));
                fit(&mut trainer, until);
                timeless(&trainer)
            });
            assert!(found.iter().all(|checkpoint| *checkpoint == found[0]));
            found.into_iter().next().unwrap()
        };
        let stopped = run(first, None, 5);
        let step = stopped.state.progress.step;
        assert!((5..9).contains(&step), "within the second update: {step}");
        let mut ended = run(then, Some(&stopped), u64::MAX);
        // Checkpoints were asked for, and digests came with them.
        ended.state.progress.metrics.iter_mut().for_each(|metrics| metrics.weights_sha256 = None);
        assert!(ended == expected, "{first} processes, then {then}");
    }
}

/// One observer breaks; all stop at the same step, and each has the whole state.
#[test]
fn all_processes_stop_where_one_does() {
    let (_, model, data, options) = runs().remove(0);
    let options = TrainOptions { accumulate: 2, ..options };
    let device = Device::cpu(1).unwrap();
    let all = processes(2, |thread| {
        let until = if thread.rank() == 1 { 4 } else { u64::MAX };
        let mut trainer = joined(thread, &device, (&model, &data, &options));
        fit(&mut trainer, until);
        timeless(&trainer)
    });
    assert!(all[0] == all[1]);
    assert_eq!(all[0].state.progress.step, 6, "a halt is told with the round after");
}

#[test]
fn processes_that_cannot_train_together_are_refused() {
    let (_, model, data, options) = runs().remove(0);
    let device = Device::cpu(1).unwrap();
    let refused = |each: &(dyn Fn(usize) -> (Model, Dataset, TrainOptions) + Sync), expected: &str| {
        let all = processes(2, |thread| {
            let (model, data, options) = each(thread.rank());
            let mut trainer = trainer(&device, &model, &data, &options);
            pollster::block_on(trainer.join(&device, Arc::new(thread))).unwrap_err().to_string()
        });
        assert_eq!(all[0], all[1]);
        assert!(all[0].contains(expected), "{}", all[0]);
    };
    let two = TrainOptions { accumulate: 2, ..options };
    let (model, data) = (&model, &data);
    refused(
        &|_| (model.clone(), data.clone(), TrainOptions { accumulate: 1, ..two.clone() }),
        "an update of this run is made of 1 batch (accumulate), so that 1 of 2 processes would have nothing to do",
    );
    refused(
        &|rank| (model.clone(), data.clone(), TrainOptions { seed: rank as u64, ..two.clone() }),
        "settings, seed: process 0 has 0, process 1 has 1; expected the same in all",
    );
    let other = |rank: usize| {
        let mut data = data.clone();
        data.train.truncate(SAMPLES - rank).unwrap();
        data
    };
    refused(&|rank| (model.clone(), other(rank), two.clone()), "samples: process 0 has 35 + 10, process 1 has 34 + 10");
}

/// A process that gets other bits than the others is found at the next checkpoint.
#[test]
fn a_process_that_computes_something_else_is_found() {
    let (_, model, data, options) = runs().remove(0);
    let options = TrainOptions { accumulate: 2, ema: None, ..options };
    let device = Device::cpu(1).unwrap();
    let all = processes(2, |mut thread| {
        thread.disturbed = (thread.rank() == 1).then_some(GATHERED);
        let mut trainer = joined(thread, &device, (&model, &data, &options));
        trainer.checkpoints(None);
        let error = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).unwrap_err();
        (error.to_string(), trainer.has_shared_error())
    });
    for (error, shared) in all {
        assert!(error.contains("process 1 has other weights than process 0") && shared, "{error}");
    }
}

/// Every process has the error, and the trainer is as it was at the last checkpoint.
#[test]
fn a_loss_that_is_no_number_ends_all_processes() {
    let (_, model, data, options) = runs().remove(0);
    let options = TrainOptions { accumulate: 2, lr: Some(1e30), clip_norm: None, ..options };
    let device = Device::cpu(1).unwrap();
    let all = processes(2, |thread| {
        let mut trainer = joined(thread, &device, (&model, &data, &options));
        let error = pollster::block_on(trainer.fit(|_| ControlFlow::Continue(()))).unwrap_err();
        (error.to_string(), trainer.has_shared_error(), trainer.progress().step)
    });
    assert!(all[0] == all[1] && all[0].1 && all[0].2 == 0, "{all:?}");
    assert!(all[0].0.contains("found by one process that resumes the run"), "{}", all[0].0);
}

#[test]
fn what_one_process_cannot_do_none_has_done() {
    let done = |failing: &[usize], why: fn(usize) -> Error| {
        let all = processes(3, |thread| {
            let mine = if failing.contains(&thread.rank()) { Err(why(thread.rank())) } else { Ok(thread.rank()) };
            all_done(&thread, mine)
        });
        assert!(all.iter().all(|done| *done == all[0]) || failing.is_empty());
        all.into_iter().collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(done(&[], |_| Error::input("never")), Ok(vec![0, 1, 2]));
    assert_eq!(done(&[1], |_| Error::input("no data")), Err(Error::input("process 1: no data")));
    assert_eq!(done(&[0, 1, 2], |_| Error::input("no data")), Err(Error::input("no data")));
    let one_failed = |rank| if rank == 2 { Error::failed("lost") } else { Error::input("bad") };
    assert_eq!(done(&[0, 2], one_failed), Err(Error::failed("process 0: bad\nprocess 2: lost")));
    let texts = processes(3, |thread| gather_all(&thread, &vec![7; thread.rank()]).unwrap());
    assert!(texts.iter().all(|all| *all == [vec![], vec![7], vec![7, 7]]));
    assert!(
        processes(2, |thread| gather_all(&thread, &[]).unwrap())
            .iter()
            .all(|all| *all == [Vec::<u8>::new(), Vec::new()])
    );
}
