//! Statistics of a data set: samples per class, mean and deviation of the pixels, and duplicate pictures.

use crate::data::schema::{ANSWERS, IGNORED, LABEL};
use crate::data::{Dataset, Split};
use crate::error::Result;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// A data set in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survey {
    /// The data set's name.
    pub name: String,
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// Images to train on.
    pub train: usize,
    /// Images to validate on, where the data has a part for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Images to test on.
    pub test: usize,
    /// Whether each pixel has a label: then the counts of classes are pixels, else images.
    pub pixels: bool,
    /// Pixels, or images, of no class: those whose label is ignored, to train on and to test on.
    pub ignored: [usize; 2],
    /// The classes, by number.
    pub classes: Vec<Class>,
    /// Training images, or pixels, of the largest class for each of the smallest; none if a class has none.
    pub imbalance: Option<f64>,
    /// Mean of the training pixels, 0 to 1, a channel each.
    pub mean: Vec<f64>,
    /// Their standard deviation (of the population), a channel each.
    pub deviation: Vec<f64>,
    /// Pictures that are there more than once; they are not looked for where the images stay in their file, since all
    /// digests would be held in memory.
    pub duplicates: Option<Duplicates>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its training images, or pixels.
    pub train: usize,
    /// Its test images, or pixels.
    pub test: usize,
}

/// Images with the same pixels, compared by SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Training images that another training image before them equals.
    pub within_train: usize,
    /// Test images that another test image before them equals.
    pub within_test: usize,
    /// Test images that a training image equals.
    pub across: usize,
    /// Pictures that have more than one label.
    pub conflicts: usize,
    /// The first few of them.
    pub examples: Vec<Conflict>,
}

/// A picture with two labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Where it is first, such as `train 17`, and its class.
    pub first: (String, String),
    /// Where it has another label first, and its class there.
    pub then: (String, String),
}

/// How many pictures with two labels are named.
const EXAMPLES: usize = 3;

/// Where a picture was first, and whether its labels differed.
struct Seen {
    part: usize,
    at: usize,
    label: u32,
    in_part: [bool; 2],
    conflict: bool,
}

/// Counts.
///
/// # Errors
/// [`crate::Error::Input`] if the images are in a file that cannot be read any more.
pub fn survey(data: &Dataset) -> Result<Survey> {
    let mut classes: Vec<Class> =
        data.class_names.iter().map(|name| Class { name: name.clone(), train: 0, test: 0 }).collect();
    // Ignored labels are of no class.
    let count = |split: &Split, of: fn(&mut Class) -> &mut usize, classes: &mut [Class]| {
        split.each_label().for_each(|label| {
            if let Some(class) = classes.get_mut(label as usize) {
                *of(class) += 1;
            }
        });
    };
    let answered = |split: &Split, of: fn(&mut Class) -> &mut usize, classes: &mut [Class]| {
        let Some(answers) = split.column(ANSWERS) else { return };
        for row in answers.held().chunks(classes.len().max(1)) {
            row.iter().zip(&mut *classes).for_each(|(answer, class)| *of(class) += usize::from(*answer));
        }
    };
    answered(&data.train, |class| &mut class.train, &mut classes);
    answered(&data.test, |class| &mut class.test, &mut classes);
    count(&data.train, |class| &mut class.train, &mut classes);
    count(&data.test, |class| &mut class.test, &mut classes);
    let counts = || classes.iter().map(|class| class.train);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let (mean, deviation) = moments(&data.train)?;
    let ignored = [&data.train, &data.test].map(|split| split.each_label().filter(|label| *label == IGNORED).count());
    let held = !data.train.is_in_file() && !data.test.is_in_file();
    Ok(Survey {
        name: data.name.clone(),
        shape: data.train.shape(),
        train: data.train.count,
        validation: data.held_counts().0,
        test: data.held_counts().1,
        pixels: data.train.positions() > 1,
        ignored,
        imbalance: (least > 0).then(|| most as f64 / least as f64),
        mean,
        deviation,
        duplicates: if held { Some(duplicates(data)?) } else { None },
        classes,
    })
}

/// Mean and standard deviation of each channel, from counts of the 256 values, which are exact.
fn moments(split: &Split) -> Result<(Vec<f64>, Vec<f64>)> {
    let channels = split.shape()[2];
    let mut counts = vec![[0u64; 256]; channels];
    for part in split.parts() {
        for pixel in part?.1.chunks_exact(channels) {
            pixel.iter().zip(&mut counts).for_each(|(&value, counts)| counts[usize::from(value)] += 1);
        }
    }
    let of = |counts: &[u64; 256]| {
        let total = counts.iter().sum::<u64>() as f64;
        let sum = |f: &dyn Fn(f64) -> f64| {
            counts.iter().enumerate().map(|(v, &n)| n as f64 * f(v as f64 / 255.0)).sum::<f64>()
        };
        let mean = sum(&|value| value) / total;
        (mean, (sum(&|value| (value - mean).powi(2)) / total).sqrt())
    };
    Ok(counts.iter().map(of).unzip())
}

fn duplicates(data: &Dataset) -> Result<Duplicates> {
    let mut seen: HashMap<[u8; 32], Seen> = HashMap::with_capacity(data.train.count + data.test.count);
    let mut found = Duplicates::default();
    let size = data.train.image_bytes();
    let class = |label: u32| data.class_names.get(label as usize).cloned().unwrap_or_default();
    for (part, split) in [&data.train, &data.test].into_iter().enumerate() {
        // Where each pixel has a label, images are not told apart by them.
        let one_each = split.column(LABEL).is_some() && split.positions() == 1;
        let labels = if one_each { split.labels() } else { vec![0; split.count] };
        for images in split.parts() {
            let (start, images) = images?;
            for (at, image) in (start..).zip(images.chunks_exact(size)) {
                let label = labels[at];
                let new = || Seen { part, at, label, in_part: [false; 2], conflict: false };
                let one = seen.entry(Sha256::digest(image).into()).or_insert_with(new);
                match part {
                    0 => found.within_train += usize::from(one.in_part[0]),
                    _ => {
                        found.within_test += usize::from(one.in_part[1]);
                        found.across += usize::from(one.in_part[0]);
                    }
                }
                one.in_part[part] = true;
                if one.label == label || one.conflict {
                    continue;
                }
                one.conflict = true;
                found.conflicts += 1;
                if found.examples.len() < EXAMPLES {
                    let place = |part: usize, at: usize| format!("{} {at}", ["train", "test"][part]);
                    let (first, then) = ((place(one.part, one.at), class(one.label)), (place(part, at), class(label)));
                    found.examples.push(Conflict { first, then });
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted() {
        let split = |pixels: &[u8], labels: &[u8]| Split::new([1, 2, 1], pixels.to_vec(), labels.to_vec()).unwrap();
        let train = split(&[0, 255, 0, 255, 7, 7, 0, 255, 1, 2], &[0, 0, 1, 1, 1]);
        let test = split(&[7, 7, 7, 7, 3, 3], &[1, 1, 0]);
        let found = survey(&Dataset::new("s", train, test).unwrap()).unwrap();
        assert_eq!((found.train, found.test, found.imbalance), (5, 3, Some(1.5)));
        let class = |name: &str, train, test| Class { name: name.into(), train, test };
        assert_eq!(found.classes, [class("0", 2, 1), class("1", 3, 2)]);
        let d = &found.duplicates.expect("the images are held");
        assert_eq!((d.within_train, d.within_test, d.across, d.conflicts), (2, 1, 2, 1));
        let side = |place: &str, class: &str| (place.to_owned(), class.to_owned());
        assert_eq!(d.examples, [Conflict { first: side("train 0", "0"), then: side("train 3", "1") }]);
    }

    #[test]
    fn mean_and_deviation_are_those_of_a_channel() {
        let train = Split::new([1, 2, 2], vec![0, 51, 255, 51], vec![0u8]).unwrap();
        let (mean, deviation) = moments(&train).unwrap();
        assert!((mean[0] - 0.5).abs() < 1e-12 && (deviation[0] - 0.5).abs() < 1e-12);
        assert!((mean[1] - 0.2).abs() < 1e-12 && deviation[1].abs() < 1e-12);
    }
}
