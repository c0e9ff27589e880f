//! NumPy arrays: `x_train.npy`, `y_train.npy`, `x_test.npy`, `y_test.npy`, of which no header is believed unchecked.
//!
//! The format is NumPy's, versions 1 to 3 (numpy.lib.format): a magic number, the length of a header, the header as a
//! Python dictionary of `descr`, `fortran_order` and `shape`, then the values.

use crate::data::formats::Format;
use crate::data::source::{Source, file_name};
use crate::data::split::Labels;
use crate::data::{Dataset, MOST_CLASSES, Split};
use crate::error::{Error, Result};
use std::path::Path;

/// Images and labels to train on, then those to test on.
pub const FILES: [&str; 4] = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"];

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format {
    name: "NumPy arrays",
    by: "x_train.npy, y_train.npy, x_test.npy and y_test.npy",
    recognise: |entries| entries.any(|name| FILES.contains(&name)),
    read: |folder, options| read_holding(folder, options.hold_bytes.unwrap_or(u64::MAX)),
};

/// Where the names of the classes may stand, one a line.
pub const CLASSES: &str = "classes.txt";

const LARGEST_NAMES_BYTES: u64 = 1 << 22;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read; NumPy's own take less than 200 bytes.
const HEADER_BYTES: u32 = 1 << 16;
/// The most dimensions that NumPy has.
const DIMENSIONS: usize = 64;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of a value, such as `|u1` or `<i8`.
    pub descr: String,
    /// Whether the first dimension varies fastest.
    pub fortran_order: bool,
    /// Sizes, the outermost first.
    pub shape: Vec<usize>,
}

/// Reads the four files in `folder`.
///
/// # Errors
/// [`Error::Input`] that names the file, where one is missing, malformed, or holds what is no image or no label.
pub fn read(folder: &Path) -> Result<Dataset> {
    read_holding(folder, u64::MAX)
}

/// `read`, but that more than `hold_bytes` of a split's pixels stay in their file.
///
/// # Errors
/// As [`read`].
pub fn read_holding(folder: &Path, hold_bytes: u64) -> Result<Dataset> {
    let [train_images, train_labels, test_images, test_labels] = FILES.map(|name| folder.join(name));
    let train = read_split_holding(&train_images, &train_labels, hold_bytes)?;
    let test = read_split_holding(&test_images, &test_labels, hold_bytes)?;
    let mut data = Dataset::new(file_name(folder), train, test)?;
    if let Some(names) = class_names(&folder.join(CLASSES), data.classes)? {
        (data.classes, data.class_names) = (names.len(), names);
    }
    Ok(data)
}

/// The names of the classes, one a line, where there is such a file.
fn class_names(path: &Path, classes: usize) -> Result<Option<Vec<String>>> {
    if !path.exists() {
        return Ok(None);
    }
    let shown = path.display();
    let mut source = Source::open(path)?;
    let text = source.take(LARGEST_NAMES_BYTES + 1)?;
    if text.len() as u64 > LARGEST_NAMES_BYTES {
        return Err(Error::input(format!(
            "{shown}: found more than {LARGEST_NAMES_BYTES} bytes, expected names of classes"
        )));
    }
    let text = std::str::from_utf8(&text).map_err(|e| Error::input(format!("{shown}: {e}")))?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if let Some(line) = names.iter().position(|name| name.is_empty() || name.contains(char::is_control)) {
        return Err(Error::input(format!("{shown}, line {}: found no name, expected one a line", line + 1)));
    }
    match names.len() {
        found if (classes..=MOST_CLASSES).contains(&found) => Ok(Some(names)),
        found => Err(Error::input(format!(
            "{shown}: found {found} names, expected {classes} to {MOST_CLASSES}, one for each class"
        ))),
    }
}

/// Reads images [count, height, width] or [count, height, width, channels] of unsigned bytes, and their labels `[count]`
/// or [count, 1] of any integer type, or [count, height, width] where each pixel has its own.
///
/// # Errors
/// As [`read`].
pub fn read_split(images: &Path, labels: &Path) -> Result<Split> {
    read_split_holding(images, labels, u64::MAX)
}

fn read_split_holding(images: &Path, labels: &Path, hold_bytes: u64) -> Result<Split> {
    let (sizes, classes) = read_any_labels(labels)?;
    let (count, shape, mut source, left) = open_images(images)?;
    if let [found, rows, columns] = sizes[..] {
        let [height, width, _] = shape;
        if [found, rows, columns] != [count, height, width] {
            return Err(Error::input(format!(
                "{} holds labels of shape {sizes:?}, but {} holds images of {:?}: expected {:?}, one label a pixel",
                labels.display(),
                images.display(),
                [count, height, width],
                [count, height, width]
            )));
        }
        return match left > hold_bytes {
            true => Split::in_file(shape, source.region()?, classes, &[height, width]),
            false => Split::narrow(shape, source.rest(left)?, classes, &[height, width]),
        };
    }
    if count != classes.len() {
        return Err(Error::input(format!(
            "{} holds {} labels, but {} holds {count} images: expected as many labels as images",
            labels.display(),
            classes.len(),
            images.display()
        )));
    }
    match left > hold_bytes {
        true => Split::in_file(shape, source.region()?, classes, &[]),
        false => Split::narrow(shape, source.rest(left)?, classes, &[]),
    }
}

/// Reads images: their count, [height, width, channels], and the pixels.
///
/// # Errors
/// As [`read`].
pub fn read_images(path: &Path) -> Result<(usize, [usize; 3], Vec<u8>)> {
    let (count, shape, mut source, left) = open_images(path)?;
    Ok((count, shape, source.rest(left)?))
}

/// Images up to their pixels, of which so many bytes come next.
fn open_images(path: &Path) -> Result<(usize, [usize; 3], Source, u64)> {
    let shown = path.display();
    let (header, source, left) = open(path)?;
    let wanted = "expected unsigned bytes (|u1)";
    match header.descr.as_bytes() {
        [b'|' | b'<' | b'>' | b'=', b'u', b'1'] => {}
        [_, b'f', ..] => {
            let remedy = "np.round(x * 255).astype(np.uint8) makes them of 0 to 1";
            return Err(Error::input(format!("{shown}: found pixels of type {}, {wanted}; {remedy}", header.descr)));
        }
        _ => return Err(Error::input(format!("{shown}: found pixels of type {}, {wanted}", header.descr))),
    }
    let (count, shape) = match header.shape[..] {
        [count, height, width] => (count, [height, width, 1]),
        // As PyTorch has them: no picture is 1 to 4 pixels high and wider than 4, with so many channels.
        [_, 1..=4, _, channels] if channels > 4 => {
            return Err(Error::input(format!(
                "{shown}: found {:?}, which looks like channels before rows, expected [count, height, width, channels]",
                header.shape
            )));
        }
        [count, height, width, channels] => (count, [height, width, channels]),
        _ => {
            return Err(Error::input(format!(
                "{shown}: found the shape {:?}, expected [count, height, width] or [count, height, width, channels]",
                header.shape
            )));
        }
    };
    check_length(path, &header, 1, left)?;
    Ok((count, shape, source, left))
}

/// Reads labels.
///
/// # Errors
/// As [`read`].
pub fn read_labels(path: &Path) -> Result<Vec<u32>> {
    match read_any_labels(path)? {
        (sizes, Labels::Bytes(labels)) if sizes.len() < 3 => Ok(labels.into_iter().map(u32::from).collect()),
        (sizes, Labels::Words(labels)) if sizes.len() < 3 => Ok(labels.into_iter().map(u32::from).collect()),
        (sizes, _) => {
            Err(Error::input(format!("{}: found labels of shape {sizes:?}, expected one an image", path.display())))
        }
    }
}

/// Labels and their shape: `[count]`, [count, 1] or [count, height, width].
fn read_any_labels(path: &Path) -> Result<(Vec<usize>, Labels)> {
    let shown = path.display();
    let (header, mut source, left) = open(path)?;
    let unknown = || {
        let wanted = "expected integers such as |u1, <i4 or <i8";
        Error::input(format!("{shown}: found labels of type {}, {wanted}", header.descr))
    };
    let (order, kind, width) = match header.descr.as_bytes() {
        [order @ (b'|' | b'<' | b'>' | b'='), kind @ (b'i' | b'u'), width @ (b'1' | b'2' | b'4' | b'8')] => {
            (*order, *kind, usize::from(width - b'0'))
        }
        _ => return Err(unknown()),
    };
    // `=` is the order of the machine that wrote the file, which nobody knows; NumPy does not write it.
    if width > 1 && !matches!(order, b'<' | b'>') {
        return Err(unknown());
    }
    if !matches!(header.shape[..], [_] | [_, 1] | [_, _, _]) {
        return Err(Error::input(format!(
            "{shown}: found labels of shape {:?}, expected [count] or [count, 1], or [count, height, width] for one a pixel",
            header.shape
        )));
    }
    check_length(path, &header, width, left)?;
    let label = |(n, bytes): (usize, &[u8])| {
        // The least significant byte first; a negative number's last bit, where it has one, is its sign.
        let at = |place: usize| if order == b'>' { bytes[width - 1 - place] } else { bytes[place] };
        let negative = kind == b'i' && at(width - 1) >= 0x80;
        let sign = if negative { -1i128 } else { 0 };
        let value = (0..width).rev().fold(sign, |all, place| all << 8 | i128::from(at(place)));
        u16::try_from(value)
            .map_err(|_| Error::input(format!("{shown}, label {n}: found {value}, expected 0 to {}", MOST_CLASSES - 1)))
    };
    let bytes = source.rest(left)?;
    if (kind, width) == (b'u', 1) {
        return Ok((header.shape.clone(), Labels::Bytes(bytes)));
    }
    let labels: Result<Vec<u16>> = bytes.chunks_exact(width).enumerate().map(label).collect();
    Ok((header.shape.clone(), Labels::narrow(labels?)))
}

/// An array of unsigned bytes as a file.
///
/// # Errors
/// [`Error::Failed`] where the shape has other elements than `values`.
pub fn bytes(shape: &[usize], values: &[u8]) -> Result<Vec<u8>> {
    if shape.iter().fold(1u128, |all, &size| all.saturating_mul(size as u128)) != values.len() as u128 {
        return Err(Error::failed(format!("an array of {shape:?} from {} values", values.len())));
    }
    let sizes: Vec<String> = shape.iter().map(|size| size.to_string()).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    // The values begin at a multiple of 64 bytes, behind a newline.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut file = MAGIC.to_vec();
    file.extend([1, 0]);
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{text:<width$}\n", width = length - 1).into_bytes());
    file.extend(values);
    Ok(file)
}

/// The header of a file, and the bytes that come after it.
fn open(path: &Path) -> Result<(Header, Source, u64)> {
    let shown = path.display();
    let mut source = Source::open(path)?;
    let start = source.take(8)?;
    if !start.starts_with(MAGIC) || start.len() < 8 {
        return Err(Error::input(format!("{shown} does not begin with NumPy's magic number: expected a .npy file")));
    }
    let digits = match start[6] {
        1 => 2,
        2 | 3 => 4,
        major => {
            let found = format!("version {major}.{}", start[7]);
            return Err(Error::input(format!("{shown}: found {found} of the .npy format, expected 1, 2 or 3")));
        }
    };
    let bytes = source.take(digits)?;
    let truncated = || Error::input(format!("{shown} is truncated: it ends within its header"));
    if bytes.len() as u64 != digits {
        return Err(truncated());
    }
    let length = bytes.iter().rev().fold(0, |all, &byte| all << 8 | u32::from(byte));
    if length > HEADER_BYTES {
        return Err(Error::input(format!(
            "{shown}: found a header of {length} bytes, expected at most {HEADER_BYTES}"
        )));
    }
    let text = source.take(u64::from(length))?;
    if text.len() as u64 != u64::from(length) {
        return Err(truncated());
    }
    let malformed = |why: String| Error::input(format!("{shown}: its header is malformed: {why}"));
    let text = std::str::from_utf8(&text).map_err(|e| malformed(e.to_string()))?;
    let header = parse(text).map_err(malformed)?;
    if header.fortran_order {
        let remedy = "np.ascontiguousarray turns it";
        return Err(Error::input(format!("{shown}: found Fortran's order, expected C's; {remedy}")));
    }
    let left = source.bytes.saturating_sub(8 + digits + u64::from(length));
    Ok((header, source, left))
}

/// Whether the shape's values are what the file holds, and any.
fn check_length(path: &Path, header: &Header, width: usize, left: u64) -> Result<()> {
    let shown = path.display();
    if header.shape.contains(&0) {
        return Err(Error::input(format!("{shown}: found the shape {:?}, expected no size of zero", header.shape)));
    }
    let wanted = header.shape.iter().fold(width as u128, |all, &size| all.saturating_mul(size as u128));
    match wanted.cmp(&u128::from(left)) {
        std::cmp::Ordering::Equal => Ok(()),
        order => Err(Error::input(format!(
            "{shown} is {}: it holds {left} bytes after its header, which says {:?} of {}: expected {wanted} bytes",
            if order.is_gt() { "truncated" } else { "oversized" },
            header.shape,
            header.descr
        ))),
    }
}

/// A header's text.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> std::result::Result<Header, String> {
    let mut rest = Rest(text.trim_start());
    let (mut descr, mut order, mut shape) = (None, None, None);
    rest.expect("{")?;
    while !rest.eat("}") {
        let key = rest.string()?;
        rest.expect(":")?;
        let again = match key {
            "descr" => descr.replace(rest.string()?.to_owned()).is_some(),
            "fortran_order" => order.replace(rest.boolean()?).is_some(),
            "shape" => shape.replace(rest.sizes()?).is_some(),
            other => return Err(format!("found the key '{other}', expected descr, fortran_order and shape")),
        };
        if again {
            return Err(format!("found the key '{key}' twice"));
        }
        if !rest.eat(",") {
            rest.expect("}")?;
            break;
        }
    }
    match rest.0.trim() {
        "" => {}
        _ => return Err(format!("found {} after its dictionary", rest.next())),
    }
    match (descr, order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => Ok(Header { descr, fortran_order, shape }),
        _ => Err("found too few keys, expected descr, fortran_order and shape".into()),
    }
}

/// What of a header is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// What comes next, for an error.
    fn next(&self) -> String {
        match self.0.chars().take(12).collect::<String>() {
            text if text.is_empty() => "its end".into(),
            text => format!("{text:?}"),
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.0.strip_prefix(token);
        self.0 = found.unwrap_or(self.0).trim_start();
        found.is_some()
    }

    fn expect(&mut self, token: &str) -> std::result::Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("found {}, expected {token}", self.next())) }
    }

    /// A text in quotes, without escapes: no key and no type has any.
    fn string(&mut self) -> std::result::Result<&'a str, String> {
        let none = format!("found {}, expected a text in quotes", self.next());
        let quote = self.0.chars().next().filter(|quote| ['\'', '"'].contains(quote)).ok_or(none.clone())?;
        let (text, rest) = self.0[1..].split_once(quote).ok_or(none)?;
        self.0 = rest.trim_start();
        Ok(text)
    }

    fn boolean(&mut self) -> std::result::Result<bool, String> {
        let word = ["True", "False"].into_iter().find(|word| self.eat(word));
        word.map(|word| word == "True").ok_or_else(|| format!("found {}, expected True or False", self.next()))
    }

    /// A tuple of sizes; with one, a comma comes after it.
    fn sizes(&mut self) -> std::result::Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        self.expect("(")?;
        while !self.eat(")") {
            let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.0.split_at(digits);
            let size = number.parse().map_err(|_| format!("found {}, expected a size", self.next()))?;
            sizes.push(size);
            // Python 2 wrote some sizes as 3L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest).trim_start();
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        if sizes.len() > DIMENSIONS {
            return Err(format!("found {} dimensions, expected at most {DIMENSIONS}", sizes.len()));
        }
        Ok(sizes)
    }
}
