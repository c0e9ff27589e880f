//! Pictures prepared for a model: MNIST's own digits come back, so do the same digits photographed, and blank pages,
//! bombs and malformed files are refused.
#![cfg(all(feature = "images", feature = "mnist-data"))]

use crate::photo;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use std::io::Cursor;
use wgrad::Error;
use wgrad::data::Dataset;
use wgrad::data::Prepare;
use wgrad::data::pictures::picture::{LARGEST_SIDE, Picture};
use wgrad::data::pictures::prepare::prepare;

const DIGIT: [usize; 3] = [28, 28, 1];

fn digits(count: usize) -> Vec<Vec<u8>> {
    let test = Dataset::open("mnist").unwrap().test;
    test.pixels().chunks(784).take(count).map(<[u8]>::to_vec).collect()
}

/// A digit as it is, in the middle of `width` × `height` pixels, ink and paper of the given brightness.
fn drawn(digit: &[u8], [width, height]: [usize; 2], [left, top]: [usize; 2], paper: u8, ink: u8) -> Picture {
    let pixel = |at: usize| {
        let (y, x) = ((at / width).wrapping_sub(top), (at % width).wrapping_sub(left));
        let value = if y < 28 && x < 28 { f32::from(digit[y * 28 + x]) / 255.0 } else { 0.0 };
        (f32::from(paper) * (1.0 - value) + f32::from(ink) * value).round() as u8
    };
    Picture::grey(width, height, &(0..width * height).map(pixel).collect::<Vec<u8>>()).unwrap()
}

/// The mean difference of a pixel.
fn apart(a: &[u8], b: &[u8]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.len() as f64
}

#[test]
fn mnists_own_digits_come_back_as_they_are() {
    let digits = digits(300);
    let mut close = 0;
    for digit in &digits {
        let found = prepare(&Picture::grey(28, 28, digit).unwrap(), DIGIT, Prepare::Digits).unwrap();
        assert!(!found.how.contains("scaled") && !found.how.contains("inverted"), "{}", found.how);
        let apart = apart(&found.pixels, digit);
        assert!(apart < 6.0, "{apart}: {}", found.how);
        close += usize::from(apart <= 0.5);
    }
    assert!(close * 100 >= digits.len() * 97, "{close} of {} are the same to half a step", digits.len());
}

#[test]
fn place_size_and_which_of_the_two_is_dark_do_not_matter() {
    for digit in digits(20) {
        let plain = prepare(&Picture::grey(28, 28, &digit).unwrap(), DIGIT, Prepare::Digits).unwrap().pixels;
        for (size, place) in [([28, 28], [0, 0]), ([90, 41], [55, 9]), ([41, 200], [3, 160])] {
            let black = prepare(&drawn(&digit, size, place, 0, 255), DIGIT, Prepare::Digits).unwrap();
            let white = prepare(&drawn(&digit, size, place, 255, 0), DIGIT, Prepare::Digits).unwrap();
            assert_eq!(black.pixels, white.pixels, "{size:?}");
            assert!(white.how.contains("inverted, since its background is light"), "{}", white.how);
            assert!(apart(&plain, &black.pixels) < 1.0, "{size:?}: {}", apart(&plain, &black.pixels));
            let grey = prepare(&drawn(&digit, size, place, 200, 90), DIGIT, Prepare::Digits).unwrap();
            assert!(grey.how.contains("faint ink made stronger"), "{}", grey.how);
            assert!(apart(&plain, &grey.pixels) < 6.0, "{size:?}: {}", apart(&plain, &grey.pixels));
        }
        let four = |at: usize| digit[at / 112 / 4 * 28 + at % 112 / 4];
        let large = Picture::grey(112, 112, &(0..112 * 112).map(four).collect::<Vec<u8>>()).unwrap();
        let large = prepare(&large, DIGIT, Prepare::Digits).unwrap();
        assert!(large.how.contains("scaled to"), "{}", large.how);
        assert!(alike(&plain, &large.pixels) > 0.95, "{}", alike(&plain, &large.pixels));
    }
}

/// How alike two digits are, from -1 to 1, moved by one pixel at most.
fn alike(a: &[u8], b: &[u8]) -> f64 {
    let centred = |x: &[u8]| {
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len() as f64;
        x.iter().map(|v| f64::from(*v) - mean).collect::<Vec<_>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let b = centred(b);
    let moved = |dy: usize, dx: usize| {
        let value = |at: usize| {
            let (y, x) = (at / 28 + dy, at % 28 + dx);
            if (1..29).contains(&y) && (1..29).contains(&x) { a[(y - 1) * 28 + x - 1] } else { 0 }
        };
        let a = centred(&(0..784).map(value).collect::<Vec<u8>>());
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    };
    (0..9).map(|at| moved(at / 3, at % 3)).fold(-1.0, f64::max)
}

#[test]
fn a_photographed_digit_looks_like_the_digit() {
    let mut sum = 0.0;
    let digits = digits(12);
    for (seed, digit) in (0..).zip(&digits) {
        let found = prepare(&Picture::decode(&photo::photo(digit, seed)).unwrap(), DIGIT, Prepare::Digits).unwrap();
        assert!(found.how.starts_with("640×480, grey, inverted") && found.how.contains("cropped to"), "{}", found.how);
        let alike = alike(&found.pixels, digit);
        assert!(alike > 0.8, "photograph {seed}: {alike}: {}", found.how);
        sum += alike;
    }
    assert!(sum / digits.len() as f64 > 0.94, "{}", sum / digits.len() as f64);
}

#[test]
fn what_is_transparent_is_background() {
    for digit in digits(5) {
        let plain = prepare(&Picture::grey(28, 28, &digit).unwrap(), DIGIT, Prepare::Digits).unwrap().pixels;
        for ink in [0, 255] {
            let rgba = digit.iter().flat_map(|&value| [ink, ink, ink, value]).collect();
            let found = prepare(&Picture::new(28, 28, rgba).unwrap(), DIGIT, Prepare::Digits).unwrap();
            assert!(apart(&plain, &found.pixels) < 1.0, "ink {ink}: {}", found.how);
        }
    }
}

#[test]
fn other_sizes_have_the_same_margins() {
    let digit = &digits(1)[0];
    for input in [[56, 56, 1], [28, 14, 1], [9, 40, 1], [1, 1, 1], [7, 7, 1]] {
        let found = prepare(&drawn(digit, [28, 28], [0, 0], 255, 0), input, Prepare::Digits).unwrap();
        let [height, width, _] = input;
        assert_eq!(found.pixels.len(), height * width);
        let rows = (0..height).filter(|y| (0..width).any(|x| found.pixels[y * width + x] > 0)).count();
        let columns = (0..width).filter(|x| (0..height).any(|y| found.pixels[y * width + x] > 0)).count();
        let most = |side: usize| ((side * 20) as f64 / 28.0).round().max(1.0) as usize;
        assert!(rows > 0 && rows <= most(height) && columns <= most(width), "{input:?}: {rows} × {columns}");
        assert!(rows == most(height) || columns == most(width), "{input:?}: {rows} × {columns}");
    }
}

#[test]
fn specks_are_dropped_and_parts_are_kept() {
    let bar = |x: usize, y: usize| (20..24).contains(&x) && (10..50).contains(&y);
    let dot = |x: usize, y: usize| (40..45).contains(&x) && (12..17).contains(&y);
    let speck = |x: usize, y: usize| x == 60 && y == 60;
    let draw = |ink: &dyn Fn(usize, usize) -> bool| {
        let pixels: Vec<u8> = (0..64 * 64).map(|at| if ink(at % 64, at / 64) { 20 } else { 240 }).collect();
        prepare(&Picture::grey(64, 64, &pixels).unwrap(), DIGIT, Prepare::Digits).unwrap()
    };
    let alone = draw(&|x, y| bar(x, y));
    assert_eq!(draw(&|x, y| bar(x, y) || speck(x, y)), alone);
    assert!(alone.how.contains("cropped to 4×40"), "{}", alone.how);
    assert!(draw(&|x, y| bar(x, y) || dot(x, y)).how.contains("cropped to 25×40"));
}

#[test]
fn blank_pages_are_refused() {
    let noise = |at: usize| 230 + (at * 2_654_435_761 % 65_536 / 8192) as u8;
    let slope = |at: usize| (100 + at % 200 / 2) as u8;
    for (what, pixels) in [
        ("white", vec![255; 40_000]),
        ("black", vec![0; 40_000]),
        ("noise", (0..40_000).map(noise).collect::<Vec<u8>>()),
        ("a slope", (0..40_000).map(slope).collect()),
    ] {
        let error = prepare(&Picture::grey(200, 200, &pixels).unwrap(), DIGIT, Prepare::Digits).expect_err(what);
        assert!(matches!(&error, Error::Input(why) if why.contains("nothing stands out")), "{what}: {error}");
    }
    assert!(prepare(&Picture::grey(1, 1, &[7]).unwrap(), DIGIT, Prepare::Digits).is_err());
}

#[test]
fn other_models_take_colours() {
    let rgba: Vec<u8> =
        (0..8).flat_map(|at| if at % 4 < 2 { [250, 10, 20, 255] } else { [30, 40, 200, 255] }).collect();
    let picture = Picture::new(4, 2, rgba.clone()).unwrap();
    let same = prepare(&picture, [2, 4, 3], Prepare::Resize).unwrap();
    assert_eq!((&same.pixels[..3], &same.pixels[9..12]), (&[250, 10, 20][..], &[30, 40, 200][..]));
    assert_eq!(same.how, "4×2, colour");
    let small = prepare(&picture, [1, 2, 3], Prepare::Resize).unwrap();
    assert_eq!(small.how, "4×2, colour, resized to 2×1");
    assert!(small.pixels[0] > 200 && small.pixels[5] > 150, "{:?}", small.pixels);
    assert_eq!(prepare(&picture, [2, 4, 4], Prepare::Resize).unwrap().pixels, rgba);
    let clear = Picture::new(1, 1, vec![0, 0, 0, 0]).unwrap();
    assert_eq!(prepare(&clear, [1, 1, 3], Prepare::Resize).unwrap().pixels, [255; 3]);
    let error = prepare(&picture, [2, 4, 2], Prepare::Resize).unwrap_err().to_string();
    assert!(error.contains("2 channels, expected 1, 3 or 4"), "{error}");
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap_or_else(|e| panic!("{format:?}: {e}"));
    file.into_inner()
}

#[test]
fn every_format_is_read() {
    let image =
        RgbaImage::from_fn(20, 10, |x, _| if x < 10 { Rgba([200, 40, 90, 255]) } else { Rgba([10, 30, 220, 255]) });
    let image = DynamicImage::ImageRgba8(image);
    let rgb = DynamicImage::ImageRgb8(image.to_rgb8());
    use ImageFormat::{Bmp, Gif, Ico, Jpeg, Png, Pnm, Qoi, Tiff, WebP};
    for format in [Bmp, Gif, Ico, Jpeg, Png, Pnm, Qoi, Tiff, WebP] {
        let bytes = encoded(if [Jpeg, Pnm].contains(&format) { &rgb } else { &image }, format);
        let found = Picture::decode(&bytes).unwrap_or_else(|e| panic!("{format:?}: {e}"));
        assert_eq!((found.width(), found.height()), (20, 10), "{format:?}");
        for (at, want) in [(2, [200, 40, 90, 255]), (17, [10, 30, 220, 255])] {
            let pixel = &found.rgba()[at * 4..][..4];
            assert!(pixel.iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 8), "{format:?}: {pixel:?}, not {want:?}");
        }
    }
    let deep = encoded(&DynamicImage::ImageLuma16(rgb.to_luma16()), Png);
    assert_eq!(Picture::decode(&deep).unwrap().width(), 20);
}

/// Phones store how they were held beside the pixels.
#[test]
fn a_turned_photograph_is_turned_back() {
    let image = image::RgbImage::from_fn(32, 16, |x, _| image::Rgb([if x < 16 { 250 } else { 5 }; 3]));
    let plain = encoded(&DynamicImage::ImageRgb8(image), ImageFormat::Jpeg);
    // A TIFF of one entry in an APP1 segment: orientation (0x0112) 6, to be turned right by a quarter.
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let exif = [b"Exif\0\0".as_slice(), tiff].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat();
    let found = Picture::decode(&turned).unwrap();
    assert_eq!((found.width(), found.height()), (16, 32));
    assert!(found.rgba()[0] > 200 && found.rgba()[31 * 16 * 4] < 50, "the light half is on top");
}

#[test]
fn files_that_are_no_pictures_are_refused() {
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, 9])));
    let png = encoded(&image, ImageFormat::Png);
    let jpeg = encoded(&image, ImageFormat::Jpeg);
    // The header of a PNG that says how large it is, with its sum, and no more.
    let bomb = |width: u32, height: u32, colour: u8| {
        let body = [b"IHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        [&png[..8], &13u32.to_be_bytes(), &body, &crc.sum().to_be_bytes(), &png[33..]].concat()
    };
    for (what, bytes, want) in [
        ("nothing", Vec::new(), "no known kind of picture, expected PNG"),
        ("text", b"a digit".to_vec(), "no known kind of picture"),
        ("zeros", vec![0; 1000], "no known kind of picture"),
        ("half a PNG", png[..png.len() / 2].to_vec(), "it is not a readable picture"),
        ("half a header", png[..20].to_vec(), "it is not a readable picture"),
        ("a JPEG's start", jpeg[..30].to_vec(), "truncated"),
        ("half a JPEG", jpeg[..jpeg.len() / 2].to_vec(), "truncated"),
        ("a bomb", bomb(30_000, 30_000, 2), "bytes when decoded, expected at most"),
        ("a long bomb", bomb(LARGEST_SIDE + 1, 1, 2), "it is not a readable picture"),
        ("the largest", bomb(u32::MAX / 2, u32::MAX / 2, 2), "it is not a readable picture"),
        ("grey that colour makes four times as large", bomb(20_000, 20_000, 0), "bytes when decoded, expected at most"),
    ] {
        let error = Picture::decode(&bytes).expect_err(what);
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)) && message.contains(want), "{what}: {message}");
    }
    let missing = Picture::open(std::path::Path::new("no/such/file.png")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file.png: cannot be read"), "{missing}");
    assert!(Picture::open(std::path::Path::new("src")).is_err(), "a folder");
    for (width, height, bytes) in [(0, 1, 0), (1, 0, 0), (2, 2, 15), (usize::MAX, usize::MAX, 4)] {
        assert!(Picture::new(width, height, vec![0; bytes]).is_err(), "{width} {height} {bytes}");
    }
}
