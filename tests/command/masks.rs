//! Pictures with masks: files that are read or left out, values and their classes, and a net trained on them.
#![cfg(all(feature = "cli", feature = "images"))]

use crate::common::Place;
use image::{DynamicImage, GrayImage, Luma, RgbImage};
use wgrad::data::formats::npy;
use wgrad::data::pictures::index::Mask;
use wgrad::data::schema::{IGNORED, LABEL};
use wgrad::data::{Dataset, Fit, ReadOptions};

/// The value of each pixel of a mask of 8 × 6: 0, but 1 in its upper left quarter and 2 in the lower right one.
pub(super) fn class(x: u32, y: u32) -> u8 {
    match (x < 4, y < 3) {
        (true, true) => 1,
        (false, false) => 2,
        _ => 0,
    }
}

/// A picture whose colours tell its classes, with something of its own.
pub(super) fn picture(n: u32) -> RgbImage {
    RgbImage::from_fn(8, 6, |x, y| {
        let mut pixel = [[20, 20, 20], [220, 30, 30], [30, 30, 220]][usize::from(class(x, y))];
        pixel[1] += (n * 7 + x + y) as u8 % 20;
        image::Rgb(pixel)
    })
}

pub(super) fn save(place: &Place, name: &str, image: impl Into<DynamicImage>) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    image.into().save(path).expect("an image");
}

/// A PNG of indices, whose palette has shades and transparency that say nothing.
pub(super) fn palette(values: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 8, 6);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255u8).flat_map(|index| [index / 2, 7, 7]).collect::<Vec<u8>>());
    encoder.set_trns(vec![0, 9]);
    let data: Vec<u8> = (0..6).flat_map(|y| (0..8).map(move |x| (x, y))).map(|(x, y)| values(x, y)).collect();
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    file
}

pub(super) fn grey(values: impl Fn(u32, u32) -> u8) -> GrayImage {
    GrayImage::from_fn(8, 6, |x, y| Luma([values(x, y)]))
}

/// Pictures and palette masks below `root`: `images` and `masks` are the folders' names.
pub(super) fn pairs(place: &Place, root: &str, [images, masks]: [&str; 2], count: u32) {
    for n in 0..count {
        save(place, &format!("{root}/{images}/s{n:02}.png"), picture(n));
        place.write(&format!("{root}/{masks}/s{n:02}.png"), palette(class));
    }
}

fn open(place: &Place, name: &str, options: &ReadOptions) -> wgrad::Result<Dataset> {
    Dataset::open_with(place.path(name).to_str().expect("a path"), options)
}

fn expected() -> Vec<u32> {
    (0..6).flat_map(|y| (0..8).map(move |x| u32::from(class(x, y)))).collect()
}

#[test]
fn the_parts_are_found_wherever_they_stand() {
    let place = Place::new();
    pairs(&place, "flat", ["images", "masks"], 10);
    for part in ["train", "valid", "test"] {
        pairs(&place, &format!("parts/{part}"), ["Images", "mask"], 2);
        pairs(&place, "ultra", [&format!("images/{part}"), &format!("masks/{part}")], 3);
    }
    pairs(&place, "two/train", ["images", "masks"], 2);
    pairs(&place, "two/val", ["images", "masks"], 1);
    for (name, train, validation, test) in
        [("flat", 8, None, 2), ("parts", 2, Some(2), 2), ("ultra", 3, Some(3), 3), ("two", 2, None, 1)]
    {
        let data = open(&place, name, &ReadOptions::default()).expect(name);
        let counts = (data.train.count, data.validation.as_ref().map(|split| split.count), data.test.count);
        assert_eq!(counts, (train, validation, test), "{name}");
        assert_eq!((data.train.shape(), data.classes, data.train.positions()), ([6, 8, 3], 3, 48), "{name}");
        assert_eq!(data.train.labels_of(1), expected(), "{name}");
        assert_eq!(data.class_names, ["0", "1", "2"], "{name}");
    }
    let data = open(&place, "flat", &ReadOptions::default()).unwrap();
    assert!(data.notice.unwrap().contains("one image in 5 is held out for testing"));
    // Pictures are resized by a weighed mean, masks by the nearest pixel.
    let data = open(&place, "flat", &ReadOptions { size: Some([3, 4]), ..ReadOptions::default() }).unwrap();
    assert_eq!(data.train.labels_of(0), [1, 1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2]);
}

#[test]
fn the_values_that_occur_are_the_classes() {
    let place = Place::new();
    let labels = |name: &str, options: &ReadOptions| {
        let data = open(&place, name, options).expect(name);
        (data.train.labels_of(0), data.class_names.clone(), data.notice.unwrap_or_default())
    };
    type Write<'a> = &'a dyn Fn(&str);
    let write: [(&str, Write); 6] = [
        ("white", &|to| save(&place, to, grey(|x, y| u8::from(class(x, y) > 0) * 255))),
        ("named", &|to| save(&place, to, grey(|x, y| u8::from(class(x, y) > 0) * 255))),
        ("steps", &|to| save(&place, to, grey(|x, y| class(x, y) * 100))),
        ("deep", &|to| {
            save(&place, to, image::ImageBuffer::from_fn(8, 6, |x, y| Luma([u16::from(class(x, y)) * 300])));
        }),
        ("colours", &|to| {
            let colour = |x, y| image::Rgb([[0, 0, 0], [200, 0, 0], [0, 200, 0]][usize::from(class(x, y))]);
            save(&place, to, RgbImage::from_fn(8, 6, colour));
        }),
        ("voc", &|to| place.write(to, palette(|x, y| if y == 0 { 255 } else { class(x, y) }))),
    ];
    for (name, mask) in write {
        for n in 0..5 {
            save(&place, &format!("{name}/images/{n}.JPG"), picture(n));
            mask(&format!("{name}/masks/{n}_mask.png"));
        }
    }
    place.write("named/classes.txt", "\u{feff}nothing\nthing\n");
    let any = ReadOptions::default();
    let two: Vec<u32> = expected().into_iter().map(|class| class.min(1)).collect();
    let (found, names, said) = labels("white", &any);
    assert_eq!((found, &names[..]), (two.clone(), &["0".to_owned(), "255".into()][..]));
    assert!(said.contains("mask values 0, 255 are classes 0, 1"), "{said}");
    assert_eq!(labels("named", &any).1, ["nothing", "thing"]);
    assert_eq!(labels("steps", &any).0, expected());
    let (found, names, _) = labels("deep", &any);
    assert_eq!((found, names), (expected(), vec!["0".into(), "300".into(), "600".into()]));
    let (found, names, said) = labels("colours", &any);
    let swapped: Vec<u32> = expected().into_iter().map(|class| [0, 2, 1][class as usize]).collect();
    assert_eq!((found, &names[1..]), (swapped, &["#00c800".to_owned(), "#c80000".into()][..]));
    assert!(said.contains("mask colours #000000, #00c800, #c80000 are classes 0, 1, 2"), "{said}");
    let (found, names, said) = labels("voc", &any);
    assert_eq!((found[0], &*names[3]), (3, "255"));
    assert!(said.contains("--ignore-label 255"), "{said}");
    let (found, names, _) = labels("voc", &ReadOptions { ignore_label: Some(255), ..any });
    assert_eq!((&found[..8], names.len()), (&[IGNORED; 8][..], 3));
    assert_eq!(found[8..], expected()[8..]);
    // The names of a model that knows more values hold, whatever occurs.
    let known = ["0", "100", "150", "200"].map(String::from);
    let data = open(&place, "steps", &ReadOptions { class_names: &known, ..any }).unwrap();
    assert_eq!((data.train.labels_of(0)[47], data.classes), (3, 4));
    // NumPy arrays alike: 0 and 255 are two classes; what is right as it is stays.
    for (name, values) in [("npy", [0, 255]), ("index", [1, 0])] {
        for files in npy::FILES.chunks(2) {
            place.write(&format!("{name}/{}", files[0]), npy::bytes(&[1, 1, 2], &[5, 6]).unwrap());
            place.write(&format!("{name}/{}", files[1]), npy::bytes(&[1, 1, 2], &values).unwrap());
        }
    }
    assert_eq!(labels("npy", &any).0, [0, 1]);
    assert_eq!(labels("npy", &ReadOptions { ignore_label: Some(0), ..any }).0, [IGNORED, 1]);
    let data = open(&place, "index", &any).unwrap();
    assert_eq!((data.train.labels(), data.train.column(LABEL).unwrap().field().ignored), (vec![1, 0], None));
}

#[test]
fn what_cannot_be_used_is_named_and_counted() {
    let place = Place::new();
    pairs(&place, "some", ["images", "masks"], 12);
    std::fs::remove_file(place.path("some/masks/s00.png")).unwrap();
    std::fs::remove_file(place.path("some/images/s01.png")).unwrap();
    save(&place, "some/masks/s02.png", GrayImage::new(8, 5));
    place.write("some/masks/s03.png", &palette(class)[..60]);
    save(&place, "some/masks/s04.jpg", GrayImage::new(8, 6));
    std::fs::remove_file(place.path("some/masks/s04.png")).unwrap();
    let data = open(&place, "some", &ReadOptions::default()).expect("the others");
    assert_eq!(data.train.count + data.test.count, 7);
    let said = data.notice.unwrap();
    for part in ["5 of 12 files cannot be used", "s00.png: found no mask s00.png in", "s01.png: found no picture"] {
        assert!(said.contains(part), "{said}");
    }
    let strict = open(&place, "some", &ReadOptions { strict: true, ..ReadOptions::default() }).unwrap_err();
    assert!(strict.to_string().contains("(5 of 12 files cannot be used)"), "{strict}");
    type Write<'a> = &'a dyn Fn(&str, u8);
    let broken: [(&str, Write, &str); 7] = [
        ("size", &|to, _| save(&place, to, GrayImage::new(5, 6)), "a mask of 5×6, expected 8×6 as its picture"),
        (
            "lossy",
            &|to, _| save(&place, &to.replace(".png", ".jpeg"), GrayImage::new(8, 6)),
            "found a JPEG, whose compression",
        ),
        ("boxes", &|to, _| place.write(&to.replace(".png", ".txt"), "0 1 2"), "found texts, as of boxes"),
        ("smooth", &|to, n| save(&place, to, grey(|x, y| (n * 48 + y as u8 * 8 + x as u8) % 251)), "found 144 values"),
        ("blank", &|to, _| save(&place, to, GrayImage::new(8, 6)), "found the mask value 0 alone"),
        (
            "none",
            &|to, _| place.write(&to.replace("masks/", "masks/a"), palette(class)),
            "found no image with its mask",
        ),
        (
            "mixed",
            &|to, n| match n {
                0 => place.write(to, palette(class)),
                _ => save(&place, to, picture(0)),
            },
            "expected all masks to be of one kind",
        ),
    ];
    for (name, mask, words) in broken {
        for n in 0..3 {
            save(&place, &format!("{name}/images/{n}.png"), picture(n.into()));
            mask(&format!("{name}/masks/{n}.png"), n);
        }
        let error = open(&place, name, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    pairs(&place, "alone/train", ["images", "masks"], 2);
    save(&place, "alone/test/images/1.png", picture(0));
    let error = open(&place, "alone", &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("expected a folder images and a folder masks in it"), "{error}");
    let options = ReadOptions { ignore_label: Some(255), ..ReadOptions::default() };
    for name in ["mnist", place.path("alone/train").to_str().unwrap()] {
        std::fs::remove_dir_all(place.path("alone/train/masks")).unwrap_or_default();
        pairs(&place, "alone/train", ["images", "b"], 2);
        let error = Dataset::open_with(name, &options).unwrap_err().to_string();
        assert!(error.contains("ignore label 255: expected masks or NumPy labels"), "{error}");
    }
}

/// Masks go where their pictures go, padded places are of no class where there is such a value, and predicted masks come back.
#[test]
fn masks_follow_their_pictures_into_other_proportions() {
    let place = Place::new();
    pairs(&place, "set", ["images", "masks"], 10);
    let row = |y: u32, outside: u32| match y {
        0 | 7 => vec![outside; 8],
        y => (0..8).map(|x| u32::from(class(x, y - 1))).collect(),
    };
    for (fit, size, ignore_label, expected, said) in [
        (Fit::Pad, [8, 8], None, (0..8).flat_map(|y| row(y, 0)).collect::<Vec<_>>(), "padded with class 0, 0;"),
        (Fit::Pad, [8, 8], Some(9), (0..8).flat_map(|y| row(y, IGNORED)).collect(), "padded with 9, which is ignored"),
        (Fit::Crop, [6, 6], None, (0..6).flat_map(|y| row(y + 1, 0)[1..7].to_vec()).collect(), "held out for testing"),
    ] {
        let options = ReadOptions { size: Some(size), fit, ignore_label, ..ReadOptions::default() };
        let data = open(&place, "set", &options).expect("a data set");
        assert_eq!((data.train.labels_of(0), data.classes), (expected, 3), "{fit:?}");
        let image = data.train.image(0).expect("an image");
        let red = |y: usize, x: usize| image[(y * size[1] + x) * 3];
        let corner = if fit == Fit::Pad { [0, 220] } else { [220, 220] };
        assert_eq!([red(0, 0), red(1, 0)], corner, "{fit:?}: the picture lies where its mask does");
        assert!(data.notice.expect("it is said").contains(said), "{fit:?}");
    }
    place.write("net.toml", "input = [8, 8, 3]\n[[layers]]\ntype = \"conv2d\"\nfilters = 3\nkernel = 1\n");
    let train = "train --model net.toml --data set --image-size 8 --fit pad --ignore-label 9 --batch-size 4 --lr 0.05";
    place.works(&format!("{train} --epochs 8 --device cpu --run-dir run --no-report"));
    let mut padded = RgbImage::new(8, 8);
    image::imageops::replace(&mut padded, &picture(0), 0, 1);
    save(&place, "padded.png", padded);
    save(&place, "own.png", picture(0));
    place.works("predict run/model.safetensors own.png padded.png --masks . --overlay over --device cpu");
    let [own, padded] = ["own", "padded"].map(|name| Mask::open(&place.path(&format!("{name}-mask.png"))).unwrap());
    assert_eq!([own.height, own.width], [6, 8]);
    assert_eq!(own.values, padded.values[8..56], "what was padded is cut off");
    assert!([0, 1].iter().all(|class| own.values.contains(class)), "{:?}", own.values);
    let cropped = place.works("predict run/model.safetensors own.png --prepare crop --masks . --device cpu");
    assert!(cropped.err.contains("outside, a mask has class 0, 0"), "{cropped:#?}");
    let own = Mask::open(&place.path("own-mask.png")).unwrap();
    assert!([own.height, own.width] == [6, 8] && (0..6).all(|y| own.values[y * 8] == 0 && own.values[y * 8 + 7] == 0));
}
