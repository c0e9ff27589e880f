//! The header of an array's file: a magic number, a length, and a Python dictionary of `descr`, `fortran_order` and `shape`.

use crate::data::source::Source;
use crate::error::{Error, Result};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read; NumPy's own take less than 200 bytes.
const HEADER_BYTES: u32 = 1 << 16;
/// The most dimensions that NumPy has.
const DIMENSIONS: usize = 64;

/// The content of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of a value, such as `|u1` or `<i8`.
    pub descr: String,
    /// Whether the first dimension varies fastest.
    pub fortran_order: bool,
    /// Sizes, the outermost first.
    pub shape: Vec<usize>,
}
/// An array of unsigned bytes as a file.
///
/// # Errors
/// [`Error::Failed`] if the shape has other elements than `values`.
pub fn bytes(shape: &[usize], values: &[u8]) -> Result<Vec<u8>> {
    if shape.iter().fold(1u128, |all, &size| all.saturating_mul(size as u128)) != values.len() as u128 {
        return Err(Error::failed(format!("an array of {shape:?} from {} values", values.len())));
    }
    let sizes: Vec<String> = shape.iter().map(|size| size.to_string()).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    // The values begin at a multiple of 64 bytes, after a newline.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut file = MAGIC.to_vec();
    file.extend([1, 0]);
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{text:<width$}\n", width = length - 1).into_bytes());
    file.extend(values);
    Ok(file)
}

/// The header of a file, and the bytes that come after it.
pub(super) fn open(mut source: Source) -> Result<(Header, Source, u64)> {
    let path = source.path().to_owned();
    let shown = path.display();
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
        let remedy = "np.ascontiguousarray converts it";
        return Err(Error::input(format!("{shown}: found Fortran order, expected C order; {remedy}")));
    }
    let left = source.bytes.saturating_sub(8 + digits + u64::from(length));
    Ok((header, source, left))
}

/// Whether the shape's values are what the file holds, and any.
pub(super) fn check_length(path: &Path, header: &Header, width: usize, left: u64) -> Result<()> {
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
/// The error in it.
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

/// The unread rest of a header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// The next token, for an error.
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
