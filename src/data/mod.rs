//! Data sets as they come from disk: u8 pixels and labels, checked once so that nobody checks them again.

pub mod formats;
pub mod made;
#[cfg(feature = "images")]
pub mod pictures;
pub mod region;
pub mod source;
pub mod survey;
mod validation;

use crate::error::{Error, Result};
use region::Region;
use source::Kind;
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// The name under which the built-in set goes on the command line and in run files.
pub const BUILT_IN: &str = "mnist";

/// Bytes of pixels that are handed over at once where all of a split's are gone through.
const PART_BYTES: usize = 1 << 20;

/// One part of a data set: `count` images of one size, each with one label, or with one a pixel.
///
/// [`Split::new`] and [`Split::masked`] are where the lengths are checked; whoever changes the public fields keeps them in
/// step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Number of images; at least 1.
    pub count: usize,
    /// Rows of an image; at least 1.
    pub height: usize,
    /// Columns of an image; at least 1.
    pub width: usize,
    /// Values of a pixel; 1 for everything that IDX files hold.
    pub channels: usize,
    /// Pixels 0–255 in the order `[count, height, width, channels]`; none where they stay in `file`.
    pub pixels: Vec<u8>,
    /// Labels of an image: 1, or height × width where each pixel has its own.
    pub labels_per_sample: usize,
    /// Class of each image, `[count]`, or of each pixel, `[count, height, width]`.
    pub labels: Vec<u8>,
    /// The file that the pixels are read from when they are asked for ([`Split::rows`]), where it was asked to hold no
    /// more than so many bytes of them ([`formats::folder::ImageOptions::hold_bytes`]).
    pub file: Option<Region>,
}

impl Split {
    /// A split of `labels.len()` images with `shape` = `[height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no image, a size is zero, or `pixels` has another length than the shape
    /// and the labels ask for.
    pub fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let [height, width, channels] = shape;
        let count = labels.len();
        check_any(count, shape)?;
        // u128 holds any product of four usize that a machine can have in memory, and saturates beyond.
        let expected = shape.iter().fold(count as u128, |product, &size| product.saturating_mul(size as u128));
        if pixels.len() as u128 != expected {
            return Err(Error::input(format!(
                "a split has {} bytes of pixels, but {count} labels and images of {height}×{width}×{channels} need {expected}",
                pixels.len()
            )));
        }
        Ok(Self { count, height, width, channels, pixels, labels_per_sample: 1, labels, file: None })
    }

    /// A split of images with `shape` = `[height, width, channels]` and a label for each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Split::new`], and if `labels` are not one for each pixel of every image.
    pub fn masked(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let places = places_of(shape, &labels)?;
        let split = Split::new(shape, pixels, vec![0; labels.len() / places])?;
        Ok(Split { labels_per_sample: places, labels, ..split })
    }

    /// A split whose pixels stay in a file that is known to hold them.
    fn in_file(shape: [usize; 3], file: Region, labels: Vec<u8>) -> Result<Self> {
        let ([height, width, channels], count) = (shape, labels.len());
        check_any(count, shape)?;
        let pixels = Vec::new();
        Ok(Self { count, height, width, channels, pixels, labels_per_sample: 1, labels, file: Some(file) })
    }

    /// `in_file` with a label for each pixel; these are held.
    fn masked_in_file(shape: [usize; 3], file: Region, labels: Vec<u8>) -> Result<Self> {
        let places = places_of(shape, &labels)?;
        let split = Split::in_file(shape, file, vec![0; labels.len() / places])?;
        Ok(Split { labels_per_sample: places, labels, ..split })
    }

    /// The pixels of the images `range`, `[images, height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Input`] where they are in a file that cannot be read any more; [`Error::Failed`] for images that there
    /// are not.
    pub fn rows(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        let size = self.image_bytes();
        let missing = || Error::failed(format!("images {range:?} of a split of {}", self.count));
        if range.start > range.end || range.end > self.count {
            return Err(missing());
        }
        let Some(file) = &self.file else {
            let pixels = self.pixels.get(range.start * size..range.end * size);
            return pixels.map(Cow::Borrowed).ok_or_else(missing);
        };
        let mut pixels = vec![0; range.len() * size];
        file.read(range.start as u64 * size as u64, &mut pixels)?;
        Ok(Cow::Owned(pixels))
    }

    /// The pixels of one image.
    ///
    /// # Errors
    /// As [`Split::rows`].
    pub fn image(&self, n: usize) -> Result<Cow<'_, [u8]>> {
        self.rows(n..n.saturating_add(1))
    }

    /// All pixels in their order, some images at a time, with the number of the first.
    pub fn parts(&self) -> impl Iterator<Item = Result<(usize, Cow<'_, [u8]>)>> {
        let step = (PART_BYTES / self.image_bytes()).max(1);
        let starts = (0..self.count).step_by(step);
        starts.map(move |start| Ok((start, self.rows(start..self.count.min(start + step))?)))
    }

    /// The labels of an image: one, or one for each pixel.
    pub fn labels_of(&self, sample: usize) -> &[u8] {
        let each = self.labels_per_sample;
        self.labels.get(sample * each..(sample + 1) * each).unwrap_or_default()
    }

    /// `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// Bytes of one image: height × width × channels.
    pub fn image_bytes(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The images, of a split in memory, with `stride` bytes from one to the next, the rest of each row zero.
    pub fn padded(&self, stride: usize) -> Vec<u8> {
        padded(&self.pixels, self.image_bytes(), stride)
    }

    /// Some of the samples, by their numbers in ascending order; where pixels stay in a file they still do.
    fn chosen(&self, members: &[usize]) -> Result<Self> {
        let mut pixels = Vec::new();
        if self.file.is_none() {
            pixels.reserve_exact(members.len() * self.image_bytes());
            members.iter().try_for_each(|&at| self.image(at).map(|image| pixels.extend_from_slice(&image)))?;
        }
        let file = self.file.as_ref().map(|file| file.chosen(members, self.image_bytes()));
        let labels = members.iter().flat_map(|&at| self.labels_of(at)).copied().collect();
        Ok(Split { count: members.len(), pixels, labels, file, ..*self })
    }

    /// Keeps the first `limit` samples in file order, or all of them where there are fewer.
    ///
    /// # Errors
    /// [`Error::Input`] if `limit` is 0, since an empty split can be neither trained nor tested on.
    pub fn truncate(&mut self, limit: usize) -> Result<()> {
        if limit == 0 {
            return Err(Error::input("a limit of 0 samples leaves no data: expected at least 1"));
        }
        if limit < self.count {
            self.pixels.truncate(limit * self.image_bytes());
            self.labels.truncate(limit * self.labels_per_sample);
            self.count = limit;
        }
        Ok(())
    }
}

/// Pixels of an image, of which each has one of `labels`.
fn places_of([height, width, _]: [usize; 3], labels: &[u8]) -> Result<usize> {
    let places = height.checked_mul(width).filter(|places| *places > 0 && labels.len().is_multiple_of(*places));
    places.ok_or_else(|| {
        let count = labels.len();
        let wanted = format!("expected one for each of {height}×{width} pixels of every image");
        Error::input(format!("a split has {count} labels, {wanted}"))
    })
}

/// Refuses a split of nothing.
fn check_any(count: usize, shape: [usize; 3]) -> Result<()> {
    let [height, width, channels] = shape;
    match count == 0 || shape.contains(&0) {
        false => Ok(()),
        true => Err(Error::input(format!(
            "a split of {count} images of {height}×{width}×{channels} is empty: expected at least one image and one pixel"
        ))),
    }
}

/// Rows of `size` bytes with `stride` bytes from one to the next, the rest of each zero.
pub(crate) fn padded(rows: &[u8], size: usize, stride: usize) -> Vec<u8> {
    if stride <= size {
        return rows.to_vec();
    }
    let mut padded = vec![0; rows.len() / size.max(1) * stride];
    for (to, row) in padded.chunks_mut(stride).zip(rows.chunks(size.max(1))) {
        to[..row.len()].copy_from_slice(row);
    }
    padded
}

/// Training and test images of the same size, and what their labels are called.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `mnist`, or the name of the folder that the set was read from; never a whole path.
    pub name: String,
    /// Largest label of both splits + 1, at least 2, at most 256.
    pub classes: usize,
    /// One name a class, `[classes]`.
    pub class_names: Vec<String>,
    /// What is trained on.
    pub train: Split,
    /// What is tested on.
    pub test: Split,
    /// What the user should be told about how the set was opened, if anything.
    pub notice: Option<String>,
}

impl Dataset {
    /// A data set from its two splits; classes are counted from the labels and named by their numbers.
    ///
    /// # Errors
    /// [`Error::Input`] if the images of the two splits differ in size.
    pub fn new(name: impl Into<String>, train: Split, test: Split) -> Result<Self> {
        let name = name.into();
        if train.shape() != test.shape() {
            return Err(Error::input(format!(
                "data set {name}: the test images are {}×{}×{} (height×width×channels), but the training images are {}×{}×{}",
                test.height, test.width, test.channels, train.height, train.width, train.channels
            )));
        }
        if train.labels_per_sample != test.labels_per_sample {
            return Err(Error::input(format!(
                "data set {name}: a test image has {} labels, but a training image has {}",
                test.labels_per_sample, train.labels_per_sample
            )));
        }
        let largest = train.labels.iter().chain(&test.labels).max().copied().unwrap_or(0);
        let classes = (usize::from(largest) + 1).max(2);
        let class_names = (0..classes).map(|class| class.to_string()).collect();
        Ok(Self { name, classes, class_names, train, test, notice: None })
    }

    /// Opens the built-in set (`mnist`) or what a path holds: CIFAR-10's binary files, NumPy arrays, IDX files, images with
    /// a folder a class (feature `images`) or CSV (feature `csv`), see [`source::Kind`]. A folder that is really named
    /// `mnist` is reached as `./mnist`.
    ///
    /// # Errors
    /// [`Error::Input`] if files are missing, ambiguous, malformed or of no known kind, and where this build
    /// has no built-in set; [`Error::Failed`] if the built-in set can be unpacked nowhere.
    pub fn open(spec: &str) -> Result<Self> {
        #[cfg(feature = "images")]
        let found = Self::open_with(spec, &formats::folder::ImageOptions::default());
        #[cfg(not(feature = "images"))]
        let found = Self::open_known(spec).unwrap_or_else(|path| {
            Self::open_kind(path, None, None, |path| {
                let path = path.display();
                Err(Error::input(format!("{path} holds images, which this build cannot read (feature images)")))
            })
        });
        found
    }

    /// `open`, with a say in how images are read: their size also for CSV; for other sets the options mean nothing.
    ///
    /// # Errors
    /// As [`Dataset::open`], and for files that are no images where the options are strict.
    #[cfg(feature = "images")]
    pub fn open_with(spec: &str, options: &formats::folder::ImageOptions) -> Result<Self> {
        Self::open_known(spec).unwrap_or_else(|path| {
            let formats::folder::ImageOptions { size, hold_bytes, .. } = *options;
            Self::open_kind(path, size, hold_bytes, |folder| formats::folder::read(folder, options))
        })
    }

    /// What a path holds, of whichever kind it is.
    fn open_kind(
        path: &Path,
        size: Option<[usize; 2]>,
        hold_bytes: Option<u64>,
        images: impl FnOnce(&Path) -> Result<Self>,
    ) -> Result<Self> {
        let hold_bytes = hold_bytes.unwrap_or(u64::MAX);
        match Kind::of(path)? {
            Kind::Cifar10 => formats::cifar::read(path),
            Kind::Npy => formats::npy::read_holding(path, hold_bytes),
            Kind::Idx => Self::open_idx(path, hold_bytes),
            Kind::Images => images(path),
            Kind::Csv => open_csv(path, size),
        }
    }

    /// The built-in set, or a name that is probably meant for it; else the path.
    fn open_known(spec: &str) -> Result<Result<Self>, &Path> {
        if spec == BUILT_IN {
            return Ok(open_built_in());
        }
        let folder = Path::new(spec);
        if let Some(near) = crate::suggest::nearest(spec, [BUILT_IN]).filter(|_| !folder.exists()) {
            let expected = source::expected();
            return Ok(Err(Error::input(format!(
                "no data set '{spec}'; did you mean '{near}'? There is no such folder, expected {expected}"
            ))));
        }
        Err(folder)
    }

    fn open_idx(folder: &Path, hold_bytes: u64) -> Result<Self> {
        let files = formats::idx::find(folder)?;
        let train = formats::idx::read_split_holding(&files.train_images, &files.train_labels, hold_bytes)?;
        let test = formats::idx::read_split_holding(&files.test_images, &files.test_labels, hold_bytes)?;
        let mut data = Self::new(source::file_name(folder), train, test)?;
        formats::emnist::adjust(&files, &mut data)?;
        Ok(data)
    }
}

/// Of a class's samples one in so many is kept for tests, where no file or folder has them.
#[cfg(any(feature = "csv", feature = "images"))]
const HELD_OUT: usize = 5;

/// Which samples are kept for tests, [labels]: of each class those with the smallest keys, so that samples that are added
/// or taken away move few others. A class of one sample keeps none.
#[cfg(any(feature = "csv", feature = "images"))]
fn held_out<K: Ord>(labels: &[u8], key: impl Fn(usize) -> K) -> Vec<bool> {
    let mut classes: Vec<Vec<usize>> = (0..=u8::MAX).map(|_| Vec::new()).collect();
    labels.iter().enumerate().for_each(|(n, &label)| classes[usize::from(label)].push(n));
    let mut kept = vec![false; labels.len()];
    for mut class in classes {
        class.sort_by_cached_key(|&n| key(n));
        let count = match class.len() {
            0 | 1 => 0,
            count => (count / HELD_OUT).max(1),
        };
        class.iter().take(count).for_each(|&n| kept[n] = true);
    }
    kept
}

#[cfg(feature = "csv")]
fn open_csv(path: &Path, size: Option<[usize; 2]>) -> Result<Dataset> {
    formats::csv::read(path, size)
}

#[cfg(not(feature = "csv"))]
fn open_csv(path: &Path, _: Option<[usize; 2]>) -> Result<Dataset> {
    let path = path.display();
    Err(Error::input(format!("data {path} is CSV, which this build cannot read (feature csv)")))
}

#[cfg(feature = "mnist-data")]
fn open_built_in() -> Result<Dataset> {
    formats::mnist::load()
}

#[cfg(not(feature = "mnist-data"))]
fn open_built_in() -> Result<Dataset> {
    Err(Error::input(
        "this build of wgrad has no built-in data set (feature mnist-data): expected a folder of another data set",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shape: [usize; 3], labels: &[u8]) -> Split {
        let pixels = (0..labels.len() * shape.iter().product::<usize>()).map(|i| i as u8).collect();
        Split::new(shape, pixels, labels.to_vec()).unwrap()
    }

    #[test]
    fn a_split_checks_its_lengths() {
        for (shape, pixels, labels) in [
            ([2, 3, 1], 11, 2),
            ([2, 3, 1], 13, 2),
            ([2, 3, 1], 0, 0),
            ([0, 3, 1], 0, 2),
            ([2, 3, 0], 0, 2),
            ([usize::MAX, usize::MAX, usize::MAX], 1, 2),
        ] {
            let result = Split::new(shape, vec![0; pixels], vec![0; labels]);
            assert!(matches!(result, Err(Error::Input(_))), "{shape:?} {pixels} {labels}");
        }
    }

    #[test]
    fn truncate_keeps_the_first_samples() {
        let mut few = split([2, 3, 1], &[4, 5, 6]);
        few.truncate(9).unwrap();
        assert_eq!(few, split([2, 3, 1], &[4, 5, 6]));
        few.truncate(2).unwrap();
        assert_eq!(few, split([2, 3, 1], &[4, 5]));
        assert!(few.truncate(0).is_err());
        assert_eq!(few.count, 2);
    }

    #[test]
    fn classes_are_counted_over_both_splits() {
        let classes = |train: &[u8], test: &[u8]| {
            let set = Dataset::new("s", split([1, 1, 1], train), split([1, 1, 1], test)).unwrap();
            assert_eq!(set.class_names.len(), set.classes);
            set.classes
        };
        assert_eq!(classes(&[0, 3], &[1]), 4);
        assert_eq!(classes(&[0, 3], &[255]), 256);
        assert_eq!(classes(&[0], &[0]), 2);
    }

    #[test]
    fn sizes_of_the_splits_must_agree() {
        let message = Dataset::new("s", split([2, 3, 1], &[0]), split([3, 2, 1], &[0])).unwrap_err().to_string();
        assert!(message.contains("3×2×1") && message.contains("2×3×1"), "{message}");
    }
}
