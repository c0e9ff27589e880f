//! A strict reader of IDX files (u8 images; u8, i16 or i32 labels; plain or gzip) that trusts no header before its
//! bytes are there.

use crate::data::formats::{Format, emnist};
use crate::data::region::Region;
use crate::data::source::file_name;
use crate::data::split::Labels;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::files;
use crate::memory::check_free;
use flate2::read::MultiGzDecoder;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// First four bytes of a file of u8 images: unsigned bytes, three dimensions.
pub const IMAGES_MAGIC: u32 = 0x0000_0803;
/// First four bytes of a file of u8 labels: unsigned bytes, one dimension.
pub const LABELS_MAGIC: u32 = 0x0000_0801;
/// The same of labels of more classes: shorts, or integers of four bytes, both big-endian and signed.
pub const WIDE_LABELS_MAGIC: [u32; 2] = [0x0000_0b01, 0x0000_0c01];

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format {
    name: "IDX",
    by: "four IDX files (*train*images*, *train*labels*, *test*images*, *test*labels*)",
    recognise: |entries| entries.any(is_idx),
    read: |folder, options| read_folder(folder, options.hold_bytes.unwrap_or(u64::MAX)),
};

/// Whether a file in a folder is likely one of four IDX files.
fn is_idx(name: &str) -> bool {
    let name = name.to_lowercase();
    let other = [".csv", ".txt", ".json", ".npy"].iter().any(|end| name.ends_with(end));
    !other && (name.contains("images") || name.contains("labels"))
}

/// DEFLATE cannot shrink a run of zeros further than this, so a compressed file bounds its own contents.
const DEFLATE_MAX_RATIO: u128 = 1032;

/// The four files of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `[count, height, width]` of the training images.
    pub train_images: PathBuf,
    /// `[count]` of the training labels.
    pub train_labels: PathBuf,
    /// `[count, height, width]` of the test images.
    pub test_images: PathBuf,
    /// `[count]` of the test labels.
    pub test_labels: PathBuf,
}

fn read_folder(folder: &Path, hold_bytes: u64) -> Result<Dataset> {
    let files = find(folder)?;
    let train = read_split_holding(&files.train_images, &files.train_labels, hold_bytes)?;
    let test = read_split_holding(&files.test_images, &files.test_labels, hold_bytes)?;
    let mut data = Dataset::new(file_name(folder), train, test)?;
    emnist::adjust(&files, &mut data)?;
    Ok(data)
}

/// Finds the four files in `folder` by their names, whatever their case, each plain or `.gz`; where one is
/// there in both forms the plain one is taken.
///
/// # Errors
/// [`Error::Input`] if the folder cannot be read, a file is missing, or two different files fit one name.
pub fn find(folder: &Path) -> Result<Files> {
    let shown = folder.display();
    let unreadable = |e: io::Error| {
        Error::input(format!(
            "data folder {shown} cannot be read ({e}): expected `mnist` or a folder with four IDX files"
        ))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            names.push(path);
        }
    }
    names.sort();
    let files = Files {
        train_images: pick(folder, &names, &["train"], "images")?,
        train_labels: pick(folder, &names, &["train"], "labels")?,
        test_images: pick(folder, &names, &["t10k", "test"], "images")?,
        test_labels: pick(folder, &names, &["t10k", "test"], "labels")?,
    };
    for (train, test) in [(&files.train_images, &files.test_images), (&files.train_labels, &files.test_labels)] {
        if train == test {
            return Err(Error::input(format!(
                "{} is named like a training and like a test file: expected one of each",
                train.display()
            )));
        }
    }
    Ok(files)
}

/// The one file whose name has one of `parts` and, after it, `kind`.
fn pick(folder: &Path, paths: &[PathBuf], parts: &[&str], kind: &str) -> Result<PathBuf> {
    let wanted = parts.iter().map(|part| format!("*{part}*{kind}*")).collect::<Vec<_>>().join(" or ");
    let fits = |path: &&PathBuf| {
        let name = lower_name(path);
        parts.iter().any(|part| name.find(part).is_some_and(|at| name[at + part.len()..].contains(kind)))
    };
    let found: Vec<&PathBuf> = paths.iter().filter(fits).collect();
    let Some(first) = found.first() else {
        return Err(Error::input(format!(
            "data folder {} has no file named like {wanted}: expected one, plain or .gz",
            folder.display()
        )));
    };
    if found.iter().any(|path| stem(path) != stem(first)) {
        let names: Vec<_> = found.iter().map(|path| lossy_name(path)).collect();
        return Err(Error::input(format!(
            "data folder {} has several files named like {wanted} ({}): expected one",
            folder.display(),
            names.join(", ")
        )));
    }
    // The plain file sorts before its compressed twin, because its name is the beginning of the other's.
    Ok((*first).clone())
}

fn lossy_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn lower_name(path: &Path) -> String {
    lossy_name(path).to_ascii_lowercase()
}

fn is_gz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// The path without a final `.gz`.
fn stem(path: &Path) -> PathBuf {
    if is_gz(path) { path.with_extension("") } else { path.to_path_buf() }
}

/// Reads images and their labels, one channel a pixel.
///
/// # Errors
/// [`Error::Input`] as for [`read_images`] and [`read_labels`], and if the two files hold different counts.
pub fn read_split(images: &Path, labels: &Path) -> Result<Split> {
    read_split_holding(images, labels, u64::MAX)
}

/// `read_split`, but that more than `hold_bytes` of pixels stay in their file, unless it is packed.
///
/// # Errors
/// As for [`read_split`].
pub fn read_split_holding(images: &Path, labels: &Path, hold_bytes: u64) -> Result<Split> {
    // Labels first: they are small, so most mistakes show before the pixels are read.
    let classes = labels_in(labels)?;
    let ([count, height, width], body) = read(images, &[(IMAGES_MAGIC, 1)], "images", hold_bytes)?;
    if count != classes.len() {
        return Err(Error::input(format!(
            "{} holds {} labels, but {} holds {count} images: expected as many labels as images",
            labels.display(),
            classes.len(),
            images.display()
        )));
    }
    match body {
        Body::Held(pixels) => Split::narrow([height, width, 1], pixels, classes, &[]),
        Body::InFile(region) => Split::in_file([height, width, 1], region, classes, &[]),
    }
}

/// Reads a file of images: their count, `[height, width]`, and pixels `[count, height, width]`.
///
/// # Errors
/// [`Error::Input`] if the file cannot be read, has another magic number, a size of zero, or fewer or more
/// bytes than its header says.
pub fn read_images(path: &Path) -> Result<(usize, [usize; 2], Vec<u8>)> {
    let ([count, height, width], body) = read(path, &[(IMAGES_MAGIC, 1)], "images", u64::MAX)?;
    Ok((count, [height, width], body.held()))
}

/// Reads a file of labels `[count]`, of u8, i16 or i32.
///
/// # Errors
/// [`Error::Input`] as for [`read_images`], and for a label below 0 or above 65,535.
pub fn read_labels(path: &Path) -> Result<Vec<u32>> {
    labels_in(path).map(Labels::into_words)
}

fn labels_in(path: &Path) -> Result<Labels> {
    let magics = [(LABELS_MAGIC, 1), (WIDE_LABELS_MAGIC[0], 2), (WIDE_LABELS_MAGIC[1], 4)];
    let ([count], body) = read::<1>(path, &magics, "labels", u64::MAX)?;
    let bytes = body.held();
    if bytes.len() == count {
        return Ok(Labels::Bytes(bytes));
    }
    let width = bytes.len() / count;
    let label = |(n, bytes): (usize, &[u8])| {
        let value = match *bytes {
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]),
            [a, b] => i16::from_be_bytes([a, b]).into(),
            _ => -1,
        };
        u16::try_from(value).map_err(|_| {
            Error::input(format!("{}, label {n}: found {value}, expected 0 to {}", path.display(), u16::MAX))
        })
    };
    bytes.chunks_exact(width).enumerate().map(label).collect::<Result<_>>().map(Labels::narrow)
}

/// The data after a header.
enum Body {
    Held(Vec<u8>),
    InFile(Region),
}

impl Body {
    /// The bytes, if they were requested in memory whatever their size.
    fn held(self) -> Vec<u8> {
        match self {
            Body::Held(bytes) => bytes,
            Body::InFile(_) => Vec::new(),
        }
    }
}

/// Header and body of an IDX file with `D` dimensions, of one of these magic numbers and the bytes of an element that each
/// stands for; a body of more than `hold_bytes` stays in a file that is not packed.
fn read<const D: usize>(path: &Path, magics: &[(u32, u32)], what: &str, hold_bytes: u64) -> Result<([usize; D], Body)> {
    let shown = path.display();
    let unreadable = |e: io::Error| Error::input(format!("{shown} cannot be read: {e}"));
    let file = files::open(path).map_err(unreadable)?;
    let file_bytes = file.metadata().map_err(unreadable)?.len();
    let gz = is_gz(path);
    let mut source: Box<dyn Read> =
        if gz { Box::new(MultiGzDecoder::new(io::BufReader::new(file))) } else { Box::new(file) };
    let explain = |e: io::Error| match e.kind() {
        ErrorKind::UnexpectedEof if gz => Error::input(format!(
            "{shown} is truncated: its gzip stream stops after {file_bytes} bytes of file without its end"
        )),
        ErrorKind::InvalidInput | ErrorKind::InvalidData if gz => {
            Error::input(format!("{shown} is not a valid gzip file ({e}): expected gzip, as its name ends in .gz"))
        }
        _ => unreadable(e),
    };

    let header_bytes = 4 * (D + 1);
    let mut header = Vec::new();
    source.by_ref().take(header_bytes as u64).read_to_end(&mut header).map_err(explain)?;
    let words: Vec<u32> =
        header.chunks_exact(4).map(|word| word.iter().fold(0, |all, &byte| all << 8 | u32::from(byte))).collect();
    let width = magics.iter().find(|(magic, _)| words.first() == Some(magic)).map(|(_, width)| *width);
    if let (Some(&found), None) = (words.first(), width) {
        let magic = magics[0].0;
        let hint = if header.starts_with(&[0x1f, 0x8b]) { " (it is gzip: name it .gz)" } else { "" };
        return Err(Error::input(format!(
            "{shown} starts with {found:#010x}{hint}: expected {magic:#010x}, the magic number of IDX {what}"
        )));
    }
    if header.len() < header_bytes {
        return Err(Error::input(format!(
            "{shown} is truncated: it holds {} bytes, expected a header of {header_bytes} bytes of IDX {what}",
            header.len()
        )));
    }

    let sizes = &words[1..];
    let said = sizes.iter().map(u32::to_string).collect::<Vec<_>>().join("×");
    if sizes.contains(&0) {
        return Err(Error::input(format!("{shown} says that it holds {said} {what}: expected no size of zero")));
    }
    // Three u32 multiply to less than 2^96, which u128 holds four times.
    let body_bytes = sizes.iter().map(|&size| u128::from(size)).product::<u128>() * u128::from(width.unwrap_or(1));
    let mismatch = |found: String| {
        Error::input(format!(
            "{shown} {found} after its header, but the header says {said} {what}: expected {body_bytes} bytes"
        ))
    };
    // What the file can hold at most is known before anything is allocated for it.
    let held_bytes = u128::from(file_bytes).saturating_sub(header_bytes as u128);
    if gz && body_bytes > u128::from(file_bytes) * DEFLATE_MAX_RATIO {
        return Err(mismatch(format!("is truncated: its {file_bytes} bytes of gzip hold too little")));
    } else if !gz && held_bytes != body_bytes {
        let size = if held_bytes < body_bytes { "truncated" } else { "oversized" };
        return Err(mismatch(format!("is {size}: it holds {held_bytes} bytes")));
    }

    let too_big =
        || Error::input(format!("{shown} holds {body_bytes} bytes of {what}, more than this machine's memory"));
    let limit = u64::try_from(body_bytes).map_err(|_| too_big())?;
    let mut shape = [0; D];
    for (size, &word) in shape.iter_mut().zip(sizes) {
        *size = usize::try_from(word).map_err(|_| too_big())?;
    }
    if !gz && limit > hold_bytes {
        let file = files::open(path).map_err(unreadable)?;
        return Ok((shape, Body::InFile(Region::new(file, path, header_bytes as u64))));
    }
    check_free(limit, &format!("{shown}: its contents take"), "fewer samples may fit")?;
    let mut body = Vec::new();
    if !gz {
        body.try_reserve_exact(usize::try_from(limit).map_err(|_| too_big())?).map_err(|_| too_big())?;
    }
    source.by_ref().take(limit).read_to_end(&mut body).map_err(|e| match e.kind() {
        ErrorKind::OutOfMemory => too_big(),
        _ => explain(e),
    })?;
    if (body.len() as u64) < limit {
        return Err(mismatch(format!("is truncated: it holds {} bytes", body.len())));
    }
    // Reading on to the end finds surplus bytes, and makes gzip check its sum.
    if io::copy(&mut source.take(1), &mut io::sink()).map_err(explain)? > 0 {
        return Err(mismatch("is oversized: it holds more bytes".into()));
    }
    body.shrink_to_fit();
    Ok((shape, Body::Held(body)))
}
