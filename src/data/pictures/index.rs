//! A mask's file: the number of each pixel, not the colour that a viewer would show.

use crate::data::Fit;
use crate::data::pictures::bounded::decoded;
use crate::data::pictures::picture::{LARGEST_DECODED_BYTES, LARGEST_FILE_BYTES, LARGEST_SIDE, Picture};
use crate::data::pictures::placing::Placing;
use crate::data::values::colour;
use crate::error::{Error, Result, in_context};
use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

/// A mask in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The value of each pixel, [height, width]: an index of the palette, a grey value, or a colour, see
    /// [`colour_of`](crate::data::values::colour_of).
    pub values: Vec<u32>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Mask {}×{}", self.width, self.height)
    }
}

impl Mask {
    /// Reads a file. PNG gives the indices of its palette, or grey values of 1 to 16 bits as they are; other formats and
    /// true colours give colours, where they are not grey throughout.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, where it cannot be read, is not a picture, or is a JPEG, whose compression changes
    /// values.
    pub fn open(path: &Path) -> Result<Mask> {
        let place = path.display();
        let unreadable = |e: std::io::Error| Error::input(format!("{place}: cannot be read: {e}"));
        let bytes = crate::files::read(path, LARGEST_FILE_BYTES).map_err(unreadable)?;
        Mask::decode(&bytes).map_err(|e| in_context(&place.to_string(), e))
    }

    /// The mask in the bytes of a file.
    ///
    /// # Errors
    /// As [`Mask::open`].
    pub fn decode(bytes: &[u8]) -> Result<Mask> {
        if bytes.len() as u64 > LARGEST_FILE_BYTES {
            return Err(Error::input(format!("found more than {LARGEST_FILE_BYTES} bytes, expected a mask of fewer")));
        }
        let jpeg = "found a JPEG, whose compression changes the values of a mask, expected a PNG";
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Err(Error::input(jpeg)),
            [0x89, b'P', b'N', b'G', ..] => png(bytes),
            _ => other(bytes),
        }
    }

    /// The mask in another size, by nearest neighbour: no value comes up that was not there.
    pub fn resized(&self, size: [usize; 2]) -> Vec<u32> {
        self.moved(size, Placing::of([self.height, self.width], size, Fit::Stretch), 0)
    }

    /// The mask in another size = [height, width], as its picture is brought there: by nearest neighbour, and `outside` where
    /// nothing of it lies.
    pub fn moved(&self, [height, width]: [usize; 2], Placing { taken, placed }: Placing, outside: u32) -> Vec<u32> {
        // The source pixel under the middle of the new one: floor((i + 1/2) · old / new).
        let from = |at: usize, (old, first): (usize, usize), (new, start): (usize, usize)| {
            let at = at.checked_sub(start).filter(|at| *at < new)?;
            Some(first + ((2 * at + 1) * old / (2 * new)).min(old - 1))
        };
        let (left, top) = ((taken.width, taken.left), (taken.height, taken.top));
        let columns: Vec<Option<usize>> = (0..width).map(|x| from(x, left, (placed.width, placed.left))).collect();
        let rows = (0..height).map(|y| from(y, top, (placed.height, placed.top)));
        let value =
            |y: Option<usize>, x: Option<usize>| y.zip(x).map_or(outside, |(y, x)| self.values[y * self.width + x]);
        rows.flat_map(|y| columns.iter().map(move |x| value(y, *x))).collect()
    }
}

/// A PNG's own samples, without its palette and its transparency.
fn png(bytes: &[u8]) -> Result<Mask> {
    let fault = |e: png::DecodingError| Error::input(format!("it is not a readable mask: {e}"));
    let most = usize::try_from(LARGEST_DECODED_BYTES).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: most });
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(fault)?;
    let size = reader.output_buffer_size().filter(|size| *size <= most);
    let (width, height) = (reader.info().width, reader.info().height);
    // A value takes four bytes in memory, however few bits it has in the file.
    let fits = u64::from(width) * u64::from(height) * 4 <= LARGEST_DECODED_BYTES && width.max(height) <= LARGEST_SIDE;
    let size = size.filter(|_| fits).ok_or_else(|| {
        let most = LARGEST_DECODED_BYTES / 4;
        Error::input(format!(
            "found a mask of {width}×{height}, expected sides of at most {LARGEST_SIDE} and at most {most} pixels"
        ))
    })?;
    let room = size as u64 + 4 * u64::from(width) * u64::from(height);
    decoded(room, || values_of(&mut reader, size))
}

/// The values of a PNG whose samples take `size` bytes.
fn values_of<R: BufRead + Seek>(reader: &mut png::Reader<R>, size: usize) -> Result<Mask> {
    let fault = |e: png::DecodingError| Error::input(format!("it is not a readable mask: {e}"));
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(fault)?;
    let bits = frame.bit_depth as usize;
    let channels = frame.color_type.samples();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut values = Vec::with_capacity(width * height);
    for row in samples[..frame.buffer_size()].chunks_exact(frame.line_size) {
        // Sample n of a row; those of fewer than 8 bits are packed, the first in the highest bits.
        let sample = |n: usize| match bits {
            16 => u32::from(row[2 * n]) << 8 | u32::from(row[2 * n + 1]),
            8 => u32::from(row[n]),
            _ => u32::from(row[n * bits / 8]) >> (8 - bits - n * bits % 8) & ((1 << bits) - 1),
        };
        let value = |x: usize| match channels {
            1 | 2 => sample(x * channels),
            _ => colour(&[0, 1, 2].map(|c| (sample(x * channels + c) >> (bits - 8)) as u8)),
        };
        values.extend((0..width).map(value));
    }
    Ok(Mask { width, height, values })
}

/// A mask in another format than PNG, as it is shown.
fn other(bytes: &[u8]) -> Result<Mask> {
    let (picture, deep) = Picture::decode_with_depth(bytes)?;
    let values = match deep {
        Some(values) => values.into_iter().map(u32::from).collect(),
        None => picture.rgba().chunks_exact(4).map(colour).collect(),
    };
    Ok(Mask { width: picture.width(), height: picture.height(), values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values::{as_grey, colour_of};

    fn written(width: u32, height: u32, kind: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        if kind == png::ColorType::Indexed {
            encoder.set_palette(vec![9, 9, 9, 200, 0, 0, 9, 9, 9, 0, 0, 200]);
            encoder.set_trns(vec![0, 255, 7, 255]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        file
    }

    /// Each kind of PNG gives the numbers that were written, whatever its palette shows.
    #[test]
    fn values_are_those_of_the_file() {
        use png::{BitDepth, ColorType};
        for (width, kind, depth, data, expected) in [
            (5, ColorType::Indexed, BitDepth::Two, &[0b0001_1011, 0b0100_0000][..], &[0, 1, 2, 3, 1][..]),
            (2, ColorType::Indexed, BitDepth::Eight, &[3, 2], &[3, 2]),
            (9, ColorType::Grayscale, BitDepth::One, &[0b1010_0001, 0b1000_0000], &[1, 0, 1, 0, 0, 0, 0, 1, 1]),
            (3, ColorType::Grayscale, BitDepth::Four, &[0xf0, 0x70], &[15, 0, 7]),
            (2, ColorType::Grayscale, BitDepth::Sixteen, &[1, 0, 0, 7], &[256, 7]),
            (2, ColorType::GrayscaleAlpha, BitDepth::Eight, &[5, 0, 6, 255], &[5, 6]),
            (1, ColorType::Rgb, BitDepth::Eight, &[1, 2, 3], &[0x0101_0203]),
            (1, ColorType::Rgba, BitDepth::Sixteen, &[9, 8, 7, 6, 5, 4, 3, 2], &[0x0109_0705]),
        ] {
            let mask = Mask::decode(&written(width, 1, kind, depth, data)).unwrap();
            assert_eq!(
                (mask.width, mask.height, &mask.values[..]),
                (width as usize, 1, expected),
                "{kind:?} {depth:?}"
            );
        }
        assert_eq!((colour_of(0x0101_0203), colour_of(258)), (Some([1, 2, 3]), None));
        assert_eq!([0x0107_0707, 0x0107_0708, 300].map(as_grey), [Some(7), None, Some(300)]);
    }

    #[test]
    fn other_formats_are_read_and_jpeg_is_refused() {
        let saved = |format, image: image::DynamicImage| {
            let mut file = Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            file.into_inner()
        };
        let grey = || image::GrayImage::from_raw(2, 1, vec![0, 200]).unwrap();
        let bmp = Mask::decode(&saved(image::ImageFormat::Bmp, grey().into())).unwrap();
        assert_eq!(bmp.values.iter().map(|value| as_grey(*value)).collect::<Vec<_>>(), [Some(0), Some(200)]);
        let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![1, 777]).unwrap();
        assert_eq!(Mask::decode(&saved(image::ImageFormat::Tiff, deep.into())).unwrap().values, [1, 777]);
        let jpeg = Mask::decode(&saved(image::ImageFormat::Jpeg, grey().into())).unwrap_err().to_string();
        assert!(jpeg.contains("JPEG") && jpeg.contains("expected a PNG"), "{jpeg}");
        let whole = written(8, 8, png::ColorType::Grayscale, png::BitDepth::Eight, &[7; 64]);
        for cut in [0, 8, 20, 33, whole.len() - 30] {
            assert!(matches!(Mask::decode(&whole[..cut]), Err(Error::Input(_))), "{cut}");
        }
    }

    #[test]
    fn resizing_takes_the_nearest() {
        let mask = Mask { width: 4, height: 2, values: vec![0, 1, 2, 3, 4, 5, 6, 7] };
        assert_eq!(mask.resized([1, 2]), [5, 7]);
        assert_eq!(mask.resized([2, 8]), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]);
        assert_eq!(mask.resized([2, 3]), [0, 2, 3, 4, 6, 7]);
        assert_eq!(mask.resized([2, 4]), mask.values);
    }
}
