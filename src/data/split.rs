//! One part of a data set: a count of samples, and a column for each of their fields.

use crate::data::column::Column;
#[cfg(feature = "images")]
use crate::data::pictures::undecoded::Undecoded;
use crate::data::region::Region;
use crate::data::schema::{Element, Field, IMAGE, LABEL, Schema, TARGET};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// One part of a data set: `count` samples, with a column for each field.
///
/// [`Split::new`] and [`Split::masked`] make one of images and their labels; [`Split::of`] of any columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Number of samples; at least 1.
    pub count: usize,
    columns: Vec<Column>,
    // A name for each sample, such as its file; empty where the data has none.
    names: Vec<String>,
}

/// A type of labels: `u8`, `u16` or `u32`.
pub trait Label: Copy {
    /// How it is stored.
    const ELEMENT: Element;
    /// Labels, little-endian.
    fn stored(labels: Vec<Self>) -> Vec<u8>;
}

impl Label for u8 {
    const ELEMENT: Element = Element::U8;
    fn stored(labels: Vec<u8>) -> Vec<u8> {
        labels
    }
}

impl Label for u16 {
    const ELEMENT: Element = Element::U16;
    fn stored(labels: Vec<u16>) -> Vec<u8> {
        labels.into_iter().flat_map(u16::to_le_bytes).collect()
    }
}

impl Label for u32 {
    const ELEMENT: Element = Element::U32;
    fn stored(labels: Vec<u32>) -> Vec<u8> {
        labels.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// Labels in the narrowest type that holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data) enum Labels {
    /// Those of up to 256 classes.
    Bytes(Vec<u8>),
    /// Those of up to 65,536.
    Words(Vec<u16>),
    /// Yes-or-no answers, 1 or 0, and how many a sample has.
    Answers(Vec<u8>, usize),
}

impl Labels {
    /// Labels below 65,536; larger ones are that number.
    pub(in crate::data) fn narrow(labels: Vec<u16>) -> Labels {
        match labels.iter().all(|label| *label <= u8::MAX.into()) {
            true => Labels::Bytes(labels.into_iter().map(|label| label as u8).collect()),
            false => Labels::Words(labels),
        }
    }

    /// How many samples have labels.
    pub(in crate::data) fn len(&self) -> usize {
        match self {
            Labels::Bytes(labels) => labels.len(),
            Labels::Words(labels) => labels.len(),
            Labels::Answers(answers, each) => answers.len() / each,
        }
    }

    /// The labels as words.
    pub(in crate::data) fn into_words(self) -> Vec<u32> {
        match self {
            Labels::Words(labels) => labels.into_iter().map(u32::from).collect(),
            Labels::Bytes(labels) | Labels::Answers(labels, _) => labels.into_iter().map(u32::from).collect(),
        }
    }

    /// The labels as a column.
    pub(in crate::data) fn column(self, of_sample: &[usize]) -> Result<Column> {
        match self {
            Labels::Bytes(labels) => Column::new(Field::label(of_sample, Element::U8), labels),
            Labels::Words(labels) => Column::new(Field::label(of_sample, Element::U16), u16::stored(labels)),
            Labels::Answers(answers, each) => Column::new(Field::answers(each), answers),
        }
    }
}

impl Split {
    /// A split of `labels.len()` images with `shape` = `[height, width, channels]`; pixels 0–255 in the order `[count,
    /// height, width, channels]`, and the class of each image.
    ///
    /// # Errors
    /// [`Error::Input`] if there is not an image, a size is zero, or `pixels` has another length than the shape
    /// and the labels ask for.
    pub fn new<L: Label>(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<L>) -> Result<Self> {
        let labels = Column::new(Field::label(&[], L::ELEMENT), L::stored(labels))?;
        Split::images(shape, pixels, labels)
    }

    /// A split of images with `shape` = `[height, width, channels]` and a label for each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Split::new`], and if `labels` are not one for each pixel of every image.
    pub fn masked<L: Label>(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<L>) -> Result<Self> {
        positions_of(shape, labels.len())?;
        let labels = Column::new(Field::label(&shape[..2], L::ELEMENT), L::stored(labels))?;
        Split::images(shape, pixels, labels)
    }

    /// `new` or `masked` of labels whose type follows from the largest; `of_sample` are the sizes of a sample's labels.
    pub(in crate::data) fn narrow(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Labels,
        of_sample: &[usize],
    ) -> Result<Self> {
        Split::images(shape, pixels, labels.column(of_sample)?)
    }

    /// A split of pictures that stay in their files.
    #[cfg(feature = "images")]
    pub(in crate::data) fn undecoded(shape: [usize; 3], images: Undecoded, labels: Labels) -> Result<Self> {
        let labels = labels.column(&[])?;
        check_any(labels.count(), shape)?;
        Split::of(vec![Column::undecoded(Field::image(shape), labels.count(), images), labels])
    }

    fn images(shape: [usize; 3], pixels: Vec<u8>, labels: Column) -> Result<Self> {
        let [height, width, channels] = shape;
        let count = labels.count();
        check_any(count, shape)?;
        // u128 holds any product of four usize that a machine can have in memory, and saturates beyond.
        let expected = shape.iter().fold(count as u128, |product, &size| product.saturating_mul(size as u128));
        if pixels.len() as u128 != expected {
            return Err(Error::input(format!(
                "a split has {} bytes of pixels, but {count} labels and images of {height}×{width}×{channels} need {expected}",
                pixels.len()
            )));
        }
        Split::of(vec![Column::new(Field::image(shape), pixels)?, labels])
    }

    /// A split of these columns.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no sample, columns have other numbers of samples, or their fields make no
    /// [`Schema`].
    pub fn of(columns: Vec<Column>) -> Result<Self> {
        Schema::new(columns.iter().map(|column| column.field().clone()).collect())?;
        let count = columns.first().map_or(0, Column::count);
        if count == 0 {
            return Err(Error::input("a split without samples is empty: expected at least one"));
        }
        if let Some(other) = columns.iter().find(|column| column.count() != count) {
            let (name, found, first) = (&other.field().name, other.count(), &columns[0].field().name);
            return Err(Error::input(format!(
                "a split has {count} samples of {first}, but {found} of {name}: expected as many of both"
            )));
        }
        Ok(Split { count, columns, names: Vec::new() })
    }

    /// A split whose pixels stay in a file that is known to hold them; `of_sample` are the sizes of a sample's labels.
    pub(in crate::data) fn in_file(
        shape: [usize; 3],
        file: Region,
        labels: Labels,
        of_sample: &[usize],
    ) -> Result<Self> {
        let labels = labels.column(of_sample)?;
        check_any(labels.count(), shape)?;
        Split::of(vec![Column::in_file(Field::image(shape), labels.count(), file), labels])
    }

    /// The same split with a name for each sample, such as the file that it was read from.
    ///
    /// # Errors
    /// [`Error::Input`] if there are more or fewer names than samples.
    pub fn named(self, names: Vec<String>) -> Result<Self> {
        if names.len() != self.count {
            let (count, found) = (self.count, names.len());
            return Err(Error::input(format!("a split has {count} samples and {found} names, expected one for each")));
        }
        Ok(Split { names, ..self })
    }

    /// The name of a sample, where the data has names.
    pub fn name_of(&self, sample: usize) -> Option<&str> {
        self.names.get(sample).map(String::as_str)
    }

    /// The fields of a sample.
    pub fn schema(&self) -> Schema {
        Schema { fields: self.columns.iter().map(|column| column.field().clone()).collect() }
    }

    /// The columns, in the order of the schema.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field().name == name)
    }

    /// The column of that name, to be changed.
    pub(in crate::data) fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.field().name == name)
    }

    /// Says that the stored label `ignored`, such as 255 of a mask, stands for no class: such targets count neither in
    /// the loss nor in any metric.
    ///
    /// # Errors
    /// [`Error::Input`] if there are no labels.
    pub fn ignoring(mut self, ignored: u32) -> Result<Self> {
        let missing = || Error::input("a split without labels, expected labels of which one is ignored");
        let at = self.columns.iter().position(|column| column.field().name == LABEL).ok_or_else(missing)?;
        let column = self.columns.remove(at);
        let field = Field { ignored: Some(ignored), ..column.field().clone() };
        self.columns.insert(at, column.with_field(field)?);
        Ok(self)
    }

    /// Pixels 0–255 in the order `[count, height, width, channels]`; none if they stay in a file.
    pub fn pixels(&self) -> &[u8] {
        self.column(IMAGE).map_or(&[], Column::held)
    }

    /// All labels, [`IGNORED`](crate::data::schema::IGNORED) where one is ignored: `[count]`, or `[count, height, width]`
    /// where each pixel has one.
    pub fn labels(&self) -> Vec<u32> {
        self.each_label().collect()
    }

    /// `labels` one after the other.
    pub fn each_label(&self) -> impl Iterator<Item = u32> + '_ {
        self.column(LABEL).into_iter().flat_map(|column| column.words(0..column.count()))
    }

    /// The labels of a sample: one, or one for each of its positions.
    pub fn labels_of(&self, sample: usize) -> Vec<u32> {
        self.column(LABEL).map_or(Vec::new(), |column| column.words(sample..sample.saturating_add(1)).collect())
    }

    /// Targets of a sample: 1, height × width where each pixel has its own, or the tokens of a window or a translation.
    pub fn positions(&self) -> usize {
        let labels = self.column(LABEL).or_else(|| self.column(TARGET)).map(|column| column.field().elements());
        labels.or_else(|| self.schema().own_targets().map(Field::elements)).unwrap_or(1)
    }

    /// Whether pixels stay in their file.
    pub fn is_in_file(&self) -> bool {
        self.columns.iter().any(Column::is_in_file)
    }

    /// The pixels of the images `range`, `[images, height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Input`] if they are in a file that cannot be read any more, and without images; [`Error::Failed`] for
    /// images that there are not.
    pub fn rows(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        let images = self.column(IMAGE).ok_or_else(|| Error::input("a split without images, expected some"))?;
        images.rows(range)
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
        self.column(IMAGE).into_iter().flat_map(Column::parts)
    }

    /// `[height, width, channels]` of the images; zeros if there are none.
    pub fn shape(&self) -> [usize; 3] {
        let shape = self.column(IMAGE).map(|column| &column.field().shape[..]);
        shape.and_then(|shape| shape.try_into().ok()).unwrap_or_default()
    }

    /// Bytes of one image: height × width × channels.
    pub fn image_bytes(&self) -> usize {
        self.shape().iter().product()
    }

    /// Some of the samples, by their numbers in ascending order; what stays in a file still does.
    pub(in crate::data) fn chosen(&self, members: &[usize]) -> Result<Self> {
        let columns = self.columns.iter().map(|column| column.chosen(members)).collect::<Result<_>>()?;
        let names = members.iter().filter_map(|member| self.names.get(*member).cloned()).collect();
        Ok(Split { count: members.len(), columns, names })
    }

    /// Keeps the first `limit` samples in file order, or all of them where there are fewer.
    ///
    /// # Errors
    /// [`Error::Input`] if `limit` is 0, since an empty split can be neither trained nor tested on.
    pub fn truncate(&mut self, limit: usize) -> Result<()> {
        if limit == 0 {
            return Err(Error::input("a limit of 0 samples leaves no data: expected at least 1"));
        }
        self.count = self.count.min(limit);
        self.columns.iter_mut().for_each(|column| column.truncate(limit));
        self.names.truncate(limit);
        Ok(())
    }
}

/// Pixels of an image, of which each has one of `labels`.
fn positions_of([height, width, _]: [usize; 3], labels: usize) -> Result<usize> {
    let positions = height.checked_mul(width).filter(|positions| *positions > 0 && labels.is_multiple_of(*positions));
    positions.ok_or_else(|| {
        let wanted = format!("expected one for each of {height}×{width} pixels of every image");
        Error::input(format!("a split has {labels} labels, {wanted}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::IGNORED;

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
            let result = Split::new(shape, vec![0; pixels], vec![0u8; labels]);
            assert!(matches!(result, Err(Error::Input(_))), "{shape:?} {pixels} {labels}");
        }
        let (two, three) = (Field::label(&[], Element::U8), Field::image([1, 1, 1]));
        let columns = [(two, 2), (three, 3)].map(|(field, count)| Column::new(field, vec![0; count]).unwrap());
        assert!(Split::of(columns.to_vec()).unwrap_err().to_string().contains("2 samples of label, but 3 of image"));
        assert!(Split::of(Vec::new()).is_err());
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
    fn names_stay_with_their_samples() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = split([1, 1, 1], &[4, 5, 6]).named(names(&["a.png", "b.png", "c.png"])).unwrap();
        let mut chosen = all.chosen(&[0, 2]).unwrap();
        assert_eq!([0, 1, 2].map(|n| chosen.name_of(n)), [Some("a.png"), Some("c.png"), None]);
        chosen.truncate(1).unwrap();
        assert_eq!([0, 1].map(|n| chosen.name_of(n)), [Some("a.png"), None]);
        assert_eq!(split([1, 1, 1], &[4, 5]).chosen(&[1]).unwrap().name_of(0), None, "data without names");
        assert!(all.named(names(&["a.png"])).unwrap_err().to_string().contains("3 samples and 1 names"));
    }

    #[test]
    fn labels_are_words_however_they_are_stored() {
        let wide = Split::new([1, 1, 1], vec![0; 3], vec![1u16, 999, 65_535]).unwrap();
        assert_eq!((wide.labels(), wide.labels_of(1), wide.labels_of(9)), (vec![1, 999, 65_535], vec![999], vec![]));
        let mask = Split::masked([1, 2, 1], vec![0; 4], vec![0u8, 255, 3, 4]).unwrap();
        assert_eq!((mask.positions(), mask.labels_of(0)), (2, vec![0, 255]), "255 is a class unless asked");
        assert_eq!(mask.ignoring(255).unwrap().labels(), [0, IGNORED, 3, 4]);
    }
}
