//! `wgrad predict` with a segmentation model: masks of indices, overlays, and the share of each class.

use crate::cli::commands::predict::{PredictArgs, names};
use crate::cli::print;
use crate::data::Fit;
use crate::data::pictures::index::Mask;
use crate::data::pictures::picture::Picture;
use crate::data::pictures::placing::Placing;
use crate::data::pictures::prepare::Prepared;
use crate::data::pictures::{mask, overlay};
use crate::error::{Error, Result};
use crate::files::{Inputs, write_whole};
use crate::printable::shown;
use crate::train::predict::{Predictor, TrainedModel};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Pictures of a batch.
const BATCH: usize = 32;

/// Writes the class of each pixel of each picture, at the picture's own size, and says how much of it is of which class.
pub(super) fn run(args: &PredictArgs, trained: &TrainedModel, inputs: &[(&PathBuf, Prepared)], fit: Fit) -> Result<()> {
    let (device, _) = args.device.open()?;
    let model = &trained.model;
    let [height, width, _] = model.image()?;
    let pixels: Vec<u8> = inputs.iter().flat_map(|(_, prepared)| &prepared.pixels).copied().collect();
    let found = pollster::block_on(Predictor::new(&device, trained, inputs.len().min(BATCH))?.masks(&pixels))?;
    let class_names: Vec<String> = (0..model.classes()?).map(|class| model.class_name(class)).collect();
    // Without a folder for either, masks go where the command runs.
    let here = args.overlay.is_none().then(|| Path::new("."));
    let folders = [args.masks.as_deref().or(here), args.overlay.as_deref()];
    for folder in folders.into_iter().flatten() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::input(format!("{}: cannot be created: {e}", folder.display())))?;
    }
    if fit == Fit::Crop {
        let named = class_names.first().map_or("", String::as_str);
        crate::cli::say(&format!(
            "note: the model reads the middle of a picture; outside, a mask has class 0, {named}"
        ));
    }
    let (mut lines, mut answers) = (String::new(), Vec::new());
    let given = Inputs::of(inputs.iter().map(|(path, _)| path.as_path()));
    for (((path, _), name), values) in inputs.iter().zip(names(inputs)).zip(found) {
        let picture = Picture::open(path)?;
        let of_net = Mask { width, height, values };
        let size = [picture.height(), picture.width()];
        // Back as the picture came: what was padded goes, and what was cut off is of class 0.
        let values = of_net.moved(size, Placing::of(size, [height, width], fit).back(), 0);
        let own = Mask { width: picture.width(), height: picture.height(), values };
        let mut counts = vec![0usize; class_names.len()];
        own.values.iter().for_each(|class| {
            if let Some(count) = counts.get_mut(*class as usize) {
                *count += 1;
            }
        });
        let share = |class: &usize| counts[*class] as f64 / own.values.len() as f64;
        let present: Vec<usize> = (0..counts.len()).filter(|class| counts[*class] > 0).collect();
        let shares: Vec<String> =
            present.iter().map(|class| format!("{} ({:.2} %)", class_names[*class], 100.0 * share(class))).collect();
        let classes: Vec<Value> =
            present.iter().map(|class| json!({ "label": class_names[*class], "share": share(class) })).collect();
        let mut answer = json!({ "image": shown(path), "classes": classes });
        let mut written = Vec::new();
        if let Some(folder) = folders[0] {
            let file = folder.join(format!("{name}-mask.png"));
            // Masks to train on may have this name too.
            if args.masks.is_none() && file.exists() {
                let shown = file.display();
                let why = "found a file of this name, which would be overwritten; --masks DIR writes masks elsewhere";
                return Err(Error::input(format!("{shown}: {why}")));
            }
            given.spare(&file)?;
            write_whole(&file, &mask::png(&own, &class_names)?)?;
            answer["mask"] = json!(shown(&file));
            written.push(file);
        }
        if let Some(folder) = folders[1] {
            let file = folder.join(format!("{name}-overlay.png"));
            given.spare(&file)?;
            write_whole(&file, &overlay::png(&picture, &own, &class_names)?)?;
            answer["overlay"] = json!(shown(&file));
            written.push(file);
        }
        let written: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
        lines += &format!("{}: {}\n", written.join(", "), shares.join(", "));
        answers.push(answer);
    }
    print(&if args.json { format!("{}\n", Value::from(answers)) } else { lines })
}
