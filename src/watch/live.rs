//! The state for the live page: progress, curves, weights as pictures, and the answer for a drawing, a picture or a text.

use crate::data::colours::colours;
use crate::data::pictures::picture::Picture as Photograph;
use crate::data::pictures::prepare::prepare;
use crate::data::{Dataset, Prepare};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::{Model, Task};
use crate::report::answers::answer;
use crate::report::folder::RunRecord;
use crate::report::inside::Inside;
use crate::report::page::json;
use crate::report::picture::Picture;
use crate::report::pictures::{drawn, filters, maps, saliency};
use crate::report::{Findings, ReportData, class_names, model_table, page};
use crate::train::epochs::confusion::argmax;
use crate::train::epochs::engine::Record;
use crate::train::epochs::scores::sigmoid;
use crate::train::epochs::trainer::Event;
use crate::train::state::snapshot::Snapshot;
use crate::watch::texts::{self, Question};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A run as the page sees it. The trainer's side writes down what happened; everything dear is worked out by the side that
/// asks, so that training never waits.
pub struct Live {
    model: Model,
    classes: Vec<String>,
    // Of a net that reads images: one, and what it shows.
    sample: Option<Vec<u8>>,
    label: Option<String>,
    name: Option<String>,
    state: Mutex<State>,
    snapshot: Arc<Snapshot>,
    net: Option<Mutex<Net>>,
    pool: Arc<rayon::ThreadPool>,
}

struct State {
    report: ReportData,
    status: String,
    epochs: usize,
    epoch: usize,
    done: usize,
    of: usize,
    /// Steps of a whole epoch: those that the first one has.
    per_epoch: usize,
    loss: f64,
    accuracy: f64,
    begun: Instant,
    ended: bool,
}

/// The net with the weights that it was last given, and the step that they are from.
struct Net {
    inside: Inside,
    weights: Option<(u64, Arc<crate::model::Weights>)>,
}

impl Live {
    /// A run of `epochs` epochs that is about to begin.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that is not sound, or has no place in memory once more.
    pub fn new(model: &Model, data: &Dataset, run: RunRecord, epochs: usize, snapshot: Arc<Snapshot>) -> Result<Live> {
        let classes = class_names(model)?;
        let Device::Cpu(pool) = Device::cpu(1)? else { return Err(Error::failed("the native CPU is no adapter")) };
        let (test, images) = (&data.test, model.image().is_ok());
        let findings = Findings { model: Some(model_table(model)?), classes: classes.clone(), ..Findings::default() };
        let label = match test.labels_of(0)[..] {
            [label] if !model.is_segmentation()? => classes.get(label as usize).cloned(),
            _ => None,
        };
        let report = ReportData { live: true, ..ReportData::of(run, findings) };
        let state = State {
            report,
            status: "about to begin".into(),
            epochs,
            epoch: 1,
            done: 0,
            of: 0,
            per_epoch: 0,
            loss: f64::NAN,
            accuracy: f64::NAN,
            begun: Instant::now(),
            ended: false,
        };
        Ok(Live {
            model: model.clone(),
            classes,
            sample: if images { Some(test.image(0)?.into_owned()) } else { None },
            label,
            name: test.name_of(0).map(String::from),
            state: Mutex::new(state),
            snapshot,
            net: if images { Some(Mutex::new(Net { inside: Inside::new(model)?, weights: None })) } else { None },
            pool,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what the trainer tells.
    pub fn event(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Steps { epoch, first, records, done, of, totals, .. } => {
                if state.epoch != *epoch || state.of == 0 {
                    state.begun = Instant::now();
                }
                if state.per_epoch == 0 {
                    state.per_epoch = *of;
                }
                (state.epoch, state.done, state.of) = (*epoch, *done, *of);
                (state.loss, state.accuracy) = (totals.loss(), totals.accuracy());
                state.status = "training".into();
                state.steps(*first, records);
            }
            Event::Epoch(metrics) => {
                if let Ok(Value::Object(row)) = serde_json::to_value(metrics) {
                    state.report.runs[0].epochs.push(row);
                }
            }
            Event::Sample { epoch, step, sample } => {
                if let Value::Object(line) = sample.to_json(*epoch, *step) {
                    state.report.runs[0].texts.push(line);
                }
            }
            Event::Checkpoint(_) => {}
        }
    }

    /// Writes down that the run has ended, in a few words, and what was found out about its net.
    pub fn end(&self, status: &str, findings: Option<Findings>) {
        let mut state = self.state();
        state.status = status.into();
        state.ended = true;
        state.report.live = false;
        if let Some(findings) = findings {
            state.report.findings = findings;
        }
    }

    /// The page as it is now.
    ///
    /// # Errors
    /// [`Error::Failed`] if the data cannot be written as JSON.
    pub fn page(&self) -> Result<String> {
        // A page that is opened late asks for the end itself, as any other does.
        let report = ReportData { live: true, ..self.state().report.clone() };
        page::html(&report)
    }

    /// The state: curves and progress, and pictures of the weights if they have changed since step `known`.
    ///
    /// # Errors
    /// [`Error::Failed`] if the data cannot be written as JSON.
    pub fn news(&self, known: Option<u64>) -> Result<String> {
        let pictures = match self.with_net(|net, step, weights| {
            if known == Some(step) {
                return Ok(None);
            }
            let Some(sample) = &self.sample else { return Ok(None) };
            let mut maps = maps(&self.model, &mut net.inside, sample, self.label.clone())?;
            maps.name.clone_from(&self.name);
            Ok(Some((step, filters(&self.model, weights)?, maps)))
        })? {
            Some(Some((step, filters, maps))) => json!({ "weights": step, "filters": filters, "maps": maps }),
            _ => match self.snapshot.latest().filter(|_| self.model.text.is_some()) {
                Some((step, _)) => json!({ "weights": step }),
                None => json!({}),
            },
        };
        let state = self.state();
        let left = (state.done > 0 && !state.ended)
            .then(|| state.begun.elapsed().as_secs_f64() / state.done as f64 * (state.of - state.done) as f64);
        let mut news = json!({
            "progress": {
                "status": state.status,
                "epoch": state.epoch,
                "epochs": state.epochs,
                "done": state.done,
                "of": state.of,
                "loss": state.loss,
                "accuracy": state.accuracy,
                "seconds_left": left,
            },
            "epochs": state.report.runs[0].epochs,
            "steps": state.report.runs[0].steps,
            "texts": state.report.runs[0].texts,
            "ended": state.ended,
            "findings": state.ended.then_some(&state.report.findings),
        });
        if let (Value::Object(news), Value::Object(pictures)) = (&mut news, pictures) {
            news.extend(pictures);
        }
        json(&news)
    }

    /// The net's current answer for a drawing: `ink` is grey 0–255, [side, side].
    ///
    /// # Errors
    /// [`Error::Input`] if nothing is drawn or there are no weights yet, and of a segmentation net.
    pub fn read(&self, ink: &[u8], side: usize) -> Result<String> {
        if self.model.is_segmentation()? {
            return Err(Error::input("the net predicts a class for each pixel, not for a drawing"));
        }
        let [height, width, channels] = self.model.image()?;
        if ink.iter().all(|pixel| *pixel == 0) {
            return Err(Error::input("nothing is drawn"));
        }
        let drawing = Photograph::grey(side, side, ink)?;
        let how = self.model.preparation();
        let image = prepare(&drawing, [height, width, 1], how).map_err(|_| Error::input("nothing is drawn"))?;
        let pixels: Vec<u8> = image.pixels.into_iter().flat_map(|ink| std::iter::repeat_n(ink, channels)).collect();
        self.answer(&pixels, None)
    }

    /// The net's current answer for the picture in the bytes of a file, prepared as its images were.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not a picture that can be read, of a net that reads no images, and where there are no
    /// weights yet.
    pub fn look(&self, file: &[u8]) -> Result<String> {
        let input = self.model.image()?;
        let by_pixel = self.model.is_segmentation()?;
        let how = match self.model.preparation() {
            Prepare::Digits if by_pixel => Prepare::Resize,
            how => how,
        };
        let prepared = prepare(&Photograph::decode(file)?, input, how)?;
        self.answer(&prepared.pixels, Some(&prepared.how))
    }

    /// The answer to prepared pixels, [height, width, channels]; `how` they were prepared.
    fn answer(&self, pixels: &[u8], how: Option<&str>) -> Result<String> {
        let shape = self.model.image()?;
        let by_pixel = self.model.is_segmentation()?;
        let found = self.with_net(|net, step, _| {
            let sample = net.inside.normalised(pixels);
            let logits = net.inside.run(sample)?;
            let maps = drawn(&self.model, &net.inside, pixels, None)?;
            let mut found = json!({
                "step": step,
                "classes": self.classes,
                "prepared": Picture::image(pixels, shape),
                "how": how,
                "maps": maps,
            });
            if by_pixel {
                let (mask, shares) = self.mask(&logits, shape);
                (found["mask"], found["shares"]) = (mask, shares.into());
            } else {
                let mut answer = answer(&logits);
                if self.model.task == Task::Answers {
                    answer.probabilities = logits.iter().map(|x| sigmoid(*x).into()).collect();
                }
                found["saliency"] = json!(saliency(&self.model, &mut net.inside, answer.class)?);
                found["probabilities"] = json!(answer.probabilities);
            }
            json(&found)
        })?;
        found.ok_or_else(|| Error::input("there are no weights yet"))
    }

    /// The net's current answer to a question about a text, the JSON of a `Question`.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no question, where there are no weights yet, and as the net's answer has it.
    pub async fn text(&self, question: &[u8]) -> Result<String> {
        let question = Question::read(question)?;
        let none = || Error::input("there are no weights yet");
        let (step, weights) = self.snapshot.latest().ok_or_else(none)?;
        let device = Device::Cpu(self.pool.clone());
        let mut found = texts::answer(&device, &self.model, &weights, &question).await?;
        found["step"] = step.into();
        json(&found)
    }

    /// The class of each pixel as a picture with the legend of the classes in it, and the share of each class.
    fn mask(&self, logits: &[f32], [height, width, _]: [usize; 3]) -> (Value, Vec<f64>) {
        let answers: Vec<usize> = logits.chunks(self.classes.len().max(1)).map(argmax).collect();
        let mut counts = vec![0usize; self.classes.len()];
        answers.iter().for_each(|class| counts[*class] += 1);
        let colours = colours(&self.classes);
        let pixels: Vec<u8> = answers.iter().flat_map(|class| colours[*class]).collect();
        let present = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let key = |(class, _): (usize, &usize)| json!({ "name": self.classes[class], "colour": colours[class] });
        let legend: Vec<Value> = present.map(key).collect();
        let shares = counts.iter().map(|count| *count as f64 / answers.len().max(1) as f64).collect();
        (json!({ "picture": Picture::image(&pixels, [height, width, 3]), "legend": legend }), shares)
    }

    /// Runs `work` on the net with the latest weights, on its own thread; `None` if there are none yet.
    fn with_net<T: Send>(
        &self,
        work: impl FnOnce(&mut Net, u64, &crate::model::Weights) -> Result<T> + Send,
    ) -> Result<Option<T>> {
        let (Some((step, weights)), Some(net)) = (self.snapshot.latest(), &self.net) else { return Ok(None) };
        let mut net = net.lock().unwrap_or_else(PoisonError::into_inner);
        let net = &mut *net;
        self.pool.install(|| {
            if net.weights.as_ref().is_none_or(|(_, old)| !Arc::ptr_eq(old, &weights)) {
                net.inside.set_weights(&weights)?;
                net.weights = Some((step, weights.clone()));
            }
            work(net, step, &weights).map(Some)
        })
    }
}

impl State {
    fn steps(&mut self, first: u64, records: &[Record]) {
        for (step, record) in (first..).zip(records) {
            let x = step as f64 / self.per_epoch.max(1) as f64;
            self.report.runs[0].steps.push(x, record.loss.into());
        }
    }
}
