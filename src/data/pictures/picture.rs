//! Pictures of any common format: PNG, JPEG, GIF, BMP, WebP, TIFF, PNM, ICO, QOI, read within bounds.

use crate::data::pictures::bounded::decoded;
use crate::error::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::{BufReader, Cursor};
use std::path::Path;

/// The most bytes that a picture's file may have.
pub const LARGEST_FILE_BYTES: u64 = 256 << 20;

/// The most columns, and rows, that a picture may have.
pub const LARGEST_SIDE: u32 = 1 << 15;

/// The most memory that decoding may take, in bytes.
pub(in crate::data) const LARGEST_DECODED_BYTES: u64 = 512 << 20;

/// A picture in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgba: Vec<u8>,
    deep: Option<u16>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Picture {}×{}", self.width, self.height)
    }
}

/// Whether the image data of a JPEG file end by its marker, which decoders do without: they fill in what is missing.
///
/// Source: ITU-T T.81, B.1. Segments have a length up to the first scan; in a scan a byte 0xff that is no marker is followed
/// by a zero. A thumbnail has an end of its own, in a segment before the scan.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut at = 2;
    while let Some([0xff, marker, rest @ ..]) = bytes.get(at..) {
        match (*marker, rest) {
            (SCAN, scan) => return scan.windows(2).any(|pair| pair == [0xff, END]),
            (0xff, _) => at += 1,
            (0x01 | 0xd0..=0xd8, _) => at += 2,
            (_, [high, low, ..]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    false
}

impl Picture {
    /// A picture of red, green, blue and opacity, 0–255 each, [height, width, 4], as a canvas gives it.
    ///
    /// # Errors
    /// [`Error::Input`] if a side is 0 or beyond [`LARGEST_SIDE`], or the bytes are not those of the sizes.
    pub fn new(width: usize, height: usize, rgba: Vec<u8>) -> Result<Self> {
        let sides = 1..=LARGEST_SIDE as usize;
        if !sides.contains(&width) || !sides.contains(&height) || width * height * 4 != rgba.len() {
            let found = format!("found a picture of {width}×{height} in {} bytes", rgba.len());
            return Err(Error::input(format!("{found}, expected sides of 1 to {LARGEST_SIDE} and 4 bytes per pixel")));
        }
        Ok(Picture { width, height, rgba, deep: None })
    }

    /// A picture of grey values, 0 black to 255 white, [height, width].
    ///
    /// # Errors
    /// [`Error::Input`] as [`Picture::new`].
    pub fn grey(width: usize, height: usize, pixels: &[u8]) -> Result<Self> {
        Picture::new(width, height, pixels.iter().flat_map(|&value| [value, value, value, 255]).collect())
    }

    /// Reads a file. Its contents say what format it has, not its name; a camera's note of how it was held is
    /// followed, and of several frames the first is taken.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, where it cannot be read, is not a picture of a known format, is malformed,
    /// or is larger than the bounds of this module.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display();
        let unreadable = |e: std::io::Error| Error::input(format!("{place}: cannot be read: {e}"));
        let bytes = crate::files::read(path, LARGEST_FILE_BYTES).map_err(unreadable)?;
        Picture::decode(&bytes).map_err(|e| crate::error::in_context(&place.to_string(), e))
    }

    /// Height and width of the picture in a file, of which no more than that is read.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not a picture.
    pub fn size(path: &Path) -> Result<[usize; 2]> {
        let fault = |e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", path.display()));
        let reader = crate::files::open(path).map(|file| ImageReader::new(BufReader::new(file)));
        let reader = reader.and_then(ImageReader::with_guessed_format).map_err(|e| fault(&e))?;
        let mut decoder = reader.into_decoder().map_err(|e| fault(&e))?;
        let turned = decoder.orientation().map_err(|e| fault(&e))?.to_exif() >= 5;
        let (width, height) = decoder.dimensions();
        Ok(if turned { [width as usize, height as usize] } else { [height as usize, width as usize] })
    }

    /// The picture in the bytes of a file.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Picture::open`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Picture::decode_with_depth(bytes).map(|(picture, _)| picture)
    }

    /// `decode`, and of a grey picture of 16 bits its values, [height, width], as the file has them.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Picture::open`].
    pub(in crate::data) fn decode_with_depth(bytes: &[u8]) -> Result<(Self, Option<Vec<u16>>)> {
        if bytes.len() as u64 > LARGEST_FILE_BYTES {
            return Err(Error::input(format!(
                "found more than {LARGEST_FILE_BYTES} bytes, expected a picture of fewer"
            )));
        }
        let fault = |e: &dyn std::fmt::Display| Error::input(format!("it is not a readable picture: {e}"));
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| fault(&e))?;
        if reader.format().is_none() {
            let formats = "PNG, JPEG, GIF, BMP, WebP, TIFF, PNM, ICO or QOI";
            return Err(Error::input(format!("found no known kind of picture, expected {formats}")));
        }
        if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_ends(bytes) {
            let why = "its image data end before the picture does: the file is truncated";
            return Err(Error::input(why));
        }
        let mut limits = Limits::default();
        limits.max_image_width = Some(LARGEST_SIDE);
        limits.max_image_height = Some(LARGEST_SIDE);
        limits.max_alloc = Some(LARGEST_DECODED_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| fault(&e))?;
        let orientation = decoder.orientation().map_err(|e| fault(&e))?;
        // Not every decoder counts what it allocates: the result's size is known before it is made.
        // So is that of its four bytes per pixel, which may be many more.
        let (columns, rows) = decoder.dimensions();
        let (found, most) =
            (decoder.total_bytes().max(4 * u64::from(columns) * u64::from(rows)), LARGEST_DECODED_BYTES);
        if found > most {
            return Err(Error::input(format!(
                "found a picture of {found} bytes when decoded, expected at most {most}"
            )));
        }
        // The decoded samples, their four bytes per pixel, and what the decoder holds besides.
        let room = 2 * found + 4 * u64::from(columns) * u64::from(rows);
        decoded(room, || Picture::of(decoder, orientation))
    }

    /// The picture that a decoder gives, turned as its camera was held.
    fn of(decoder: impl ImageDecoder, orientation: Orientation) -> Result<(Self, Option<Vec<u16>>)> {
        let fault = |e: image::ImageError| Error::input(format!("it is not a readable picture: {e}"));
        let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
        image.apply_orientation(orientation);
        let is_deep = u16::from(image.color().bytes_per_pixel()) > u16::from(image.color().channel_count());
        let deep = is_deep.then(|| {
            let values = image.to_rgb16().into_raw();
            values.into_iter().max().unwrap_or(0)
        });
        let words = image.as_luma16().map(|image| image.as_raw().clone());
        let rgba = image.into_rgba8();
        let picture = Picture::new(rgba.width() as usize, rgba.height() as usize, rgba.into_raw())?;
        Ok((Picture { deep, ..picture }, words))
    }

    /// Whether the file had 16 bits a channel, or floats, which were brought to 8; and the largest value, 0 to 65535.
    pub fn deep(&self) -> Option<u16> {
        self.deep
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green, blue and opacity, [height, width, 4].
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }
}
