//! Defaults that depend on the data: a model that fits the data, and a batch size that gives several steps per epoch.

use crate::counted::counted;
use crate::data::Dataset;
use crate::data::schema::Element;
use crate::error::Result;
use crate::model::presets::{TABLE, TRANSLATOR};
use crate::train::settings::options::TrainOptions;

/// The minimum number of steps per epoch, if there are enough samples.
pub const STEPS: usize = 4;

/// The minimum size of a reduced batch: batch normalisation needs two samples.
const LEAST: usize = 2;

/// The least height and width that `resnet-small` takes: it halves them three times.
const RESIDUAL: usize = 8;

/// The default model for the data, and the reason; no reason for images such as MNIST's, which use the usual default.
///
/// # Errors
/// [`crate::Error::Input`] if the data has no input or no targets.
pub fn model_for(data: &Dataset) -> Result<(&'static str, Option<String>)> {
    let schema = data.train.schema();
    let (input, target) = (schema.input(None)?, schema.target()?);
    if data.text.is_some() {
        return Ok(match input.stream {
            _ if data.target.is_some() => (TRANSLATOR, Some("since the data is pairs of texts".into())),
            Some(_) => ("char-rnn", Some("since the data is a text".into())),
            None if data.has_documents() => ("char-rnn", Some("since the data is documents".into())),
            None => ("text-classifier", Some("since the data has texts with labels".into())),
        });
    }
    let &[height, width, channels] = &input.shape[..] else {
        return Ok((TABLE, Some("since the data is a table".into())));
    };
    if input.element != Element::U8 {
        return Ok((TABLE, Some("since the data is a table".into())));
    }
    let size = format!("{height}×{width} with {}", counted(channels, "channel"));
    Ok(match [height, width, channels] {
        _ if target.shape.len() == 2 => ("unet-small", Some("since every pixel has a label".into())),
        [28, 28, 1] => ("mnist-cnn", None),
        _ if height.min(width) < RESIDUAL => (TABLE, Some(format!("since the images are small, {size}"))),
        _ => ("resnet-small", Some(format!("since the images are {size}"))),
    })
}

/// The batch size for `samples` training samples: the default, or, for few samples, the largest power of two that gives
/// four steps per epoch.
pub fn batch_for(samples: usize) -> usize {
    let default = TrainOptions::default().batch_size;
    if samples >= default * STEPS {
        return default;
    }
    let most = (samples / STEPS).max(1);
    (1usize << most.ilog2()).max(LEAST).min(samples.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    #[test]
    fn few_samples_leave_several_steps_an_epoch() {
        for (samples, batch) in
            [(60_000, 128), (512, 128), (511, 64), (255, 32), (60, 8), (20, 4), (10, 2), (3, 2), (2, 2), (1, 1)]
        {
            assert_eq!(batch_for(samples), batch, "{samples} samples");
        }
    }

    #[test]
    fn the_model_follows_from_the_images() {
        let of = |shape: [usize; 3]| {
            let split = || Split::new(shape, vec![0; 2 * shape.iter().product::<usize>()], vec![0u8, 1]).unwrap();
            model_for(&Dataset::new("few", split(), split()).unwrap()).unwrap()
        };
        assert_eq!(of([28, 28, 1]), ("mnist-cnn", None));
        for (shape, name, why) in [
            ([28, 28, 3], "resnet-small", "28×28 with 3 channels"),
            ([8, 8, 1], "resnet-small", "8×8 with 1 channel"),
            ([7, 30, 1], TABLE, "7×30"),
        ] {
            let (found, reason) = of(shape);
            assert!(found == name && reason.is_some_and(|reason| reason.contains(why)), "{shape:?}: {found}");
        }
        let masks = || Split::masked([8, 8, 3], vec![0; 192], vec![0u8; 64]).unwrap();
        let (found, _) = model_for(&Dataset::new("masks", masks(), masks()).unwrap()).unwrap();
        assert_eq!(found, "unet-small");
    }
}
