//! Augmented images, compared with values computed by hand, and cases in which the image stays unchanged.

use super::*;
use crate::ir::op::Elements;
use crate::step::control::pcg;

const COUNT: usize = 20_000;
const IMAGE: [usize; 3] = [9, 12, 1];

fn op(list: &str) -> DrawAugmented {
    let draw = drawn(3, IMAGE, false, [0.5, -1.0], 0);
    DrawAugmented { draw, augment: list.parse().unwrap() }
}

fn maps(list: &str) -> Vec<Map> {
    let control = Control { key: 5, step: 77, ..Control::default() };
    (0..COUNT).map(|sample| op(list).warp().map(&control, sample)).collect()
}

/// A channel has its own value outside.
#[test]
fn each_channel_is_filled_with_its_own_value() {
    let draw = drawn(3, [4, 5, 3], false, [1.0, 0.0], 0);
    let op = DrawAugmented { draw, augment: "crop=4,fill=1,2,3".parse().unwrap() };
    for fast in [false, true] {
        let found = run_on(&[9; 180], &op, 1, fast);
        assert!(found.contains(&1.0) && found.contains(&9.0), "{found:?}");
        for pixel in found.chunks(3) {
            assert!([[1.0, 2.0, 3.0], [9.0; 3]].contains(&[pixel[0], pixel[1], pixel[2]]), "{pixel:?}");
        }
    }
}

/// Evenly spread over (-most, most): mean and deviation within five deviations, and the ends reached.
fn is_even(what: &str, found: &[f64], most: f64) {
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    assert!(mean.abs() <= 5.0 * most / 3f64.sqrt() / n.sqrt(), "{what}: mean {mean}");
    // The square of an even number in (-1, 1) has mean 1/3 and variance 4/45.
    let square = found.iter().map(|x| (x / most).powi(2)).sum::<f64>() / n;
    assert!((square - 1.0 / 3.0).abs() <= 5.0 * (4.0 / 45.0 / n).sqrt(), "{what}: square {square}");
    let ends = found.iter().fold([0.0f64; 2], |[low, high], x| [low.min(*x), high.max(*x)]);
    assert!((ends[0] + most).abs() < 0.01 * most && (ends[1] - most).abs() < 0.01 * most, "{what}: {ends:?}");
}

fn is_half(what: &str, share: f64) {
    assert!((share - 0.5).abs() <= 5.0 * 0.5 / (COUNT as f64).sqrt(), "{what}: {share}");
}

#[test]
fn amounts_are_evenly_spread_to_both_sides() {
    let of = |list: &str, get: fn(&Map) -> f64| maps(list).iter().map(get).collect::<Vec<f64>>();
    is_even("shift x", &of("shift=3", |map| map.offset[0]), 3.0);
    is_even("shift y", &of("shift=3", |map| map.offset[1]), 3.0);
    is_even("turn", &of("rotate=30", |map| map.down[0].atan2(map.right[0]).to_degrees()), 30.0);
    is_even("size", &of("scale=0.4", |map| 1.0 / map.right[0] - 1.0), 0.4);
    is_even("slant", &of("shear=20", |map| (-map.down[0]).atan().to_degrees()), 20.0);
    let turned = maps("rotate=180");
    assert!(turned.iter().all(|map| map.right[0].hypot(map.right[1]) - 1.0 < 1e-12));
    is_half("right way up", turned.iter().filter(|map| map.right[0] > 0.0).count() as f64 / COUNT as f64);
}

#[test]
fn flips_crops_and_holes_have_their_share_everywhere() {
    let both = maps("hflip,vflip");
    let share = |is: fn(&Map) -> bool| both.iter().filter(|map| is(map)).count() as f64 / COUNT as f64;
    is_half("hflip", share(|map| map.right[0] < 0.0));
    is_half("vflip", share(|map| map.down[1] < 0.0));
    is_half("one alone", share(|map| map.right[0] * map.down[1] < 0.0));
    let even = |what: &str, found: Vec<i64>, low: i64, count: i64| {
        let expected = COUNT as f64 / count as f64;
        for place in low..low + count {
            let share = found.iter().filter(|at| **at == place).count() as f64;
            assert!((share - expected).abs() <= 5.0 * expected.sqrt(), "{what} {place}: {share} of {expected}");
        }
        assert!(found.iter().all(|at| (low..low + count).contains(at)), "{what}");
    };
    let (cropped, holes) = (maps("crop=2"), maps("cutout=5"));
    for axis in [0, 1] {
        even("crop", cropped.iter().map(|map| map.offset[axis] as i64).collect(), -2, 5);
        let side = IMAGE[1 - axis] as i64;
        even("hole", holes.iter().map(|map| i64::from(map.hole[axis] as i32)).collect(), -2, side);
    }
}

/// Without a side that is cut to the image's, and with one.
#[test]
fn resized_parts_have_their_areas_proportions_and_places() {
    let [height, width] = [IMAGE[0] as f64, IMAGE[1] as f64];
    let parts = maps("random-resized-crop=0.1-0.5");
    let of = |get: &dyn Fn(&Map) -> f64| parts.iter().map(get).collect::<Vec<f64>>();
    is_even("area", &of(&|map| map.right[0] * map.down[1] - 0.3), 0.2);
    let ratio = |map: &Map| (map.right[0] * width / (map.down[1] * height)).ln();
    is_even("proportion", &of(&ratio), (4.0f64 / 3.0).ln());
    for (axis, side) in [width, height].into_iter().enumerate() {
        let middle = (side - 1.0) / 2.0;
        let place = |map: &Map| {
            let part = map.right[axis] + map.down[axis];
            (part * middle + map.offset[axis] - middle) / (middle * (1.0 - part))
        };
        is_even("place", &of(&place), 1.0);
    }
    let wide = maps("random-resized-crop");
    // Of these images the height is the shorter side.
    assert!(wide.iter().any(|map| map.down[1] == 1.0));
    for map in parts.iter().chain(&wide) {
        assert!(map.right[0] <= 1.0 && map.down[1] <= 1.0 && map.right[1] == 0.0 && map.down[0] == 0.0);
        for (x, y) in [(0, 0), (IMAGE[1] - 1, IMAGE[0] - 1)] {
            let [sx, sy] = map.source(x, y);
            assert!(sx > -1e-9 && sy > -1e-9 && sx < width - 1.0 + 1e-9 && sy < height - 1.0 + 1e-9, "{map:?}");
        }
    }
}

#[test]
fn samples_steps_and_keys_draw_apart() {
    let op = op("shift=2,rotate=10");
    let map = |key, step, sample| op.warp().map(&Control { key, step, ..Control::default() }, sample);
    let one = map(1, 2, 3);
    assert_eq!(one, map(1, 2, 3));
    assert!([map(2, 2, 3), map(1, 3, 3), map(1, 2, 4), map(2, 1, 3)].iter().all(|other| *other != one));
    // Where the sample stands in the batch, and in which epoch, does not matter.
    let elsewhere = Control { key: 1, step: 2, first: 9, epoch: 4, valid: 7, ..Control::default() };
    assert_eq!(op.warp().map(&elsewhere, 3), one);
}

/// Runs reference or fast form over three images; flat, [3 · pixels].
fn run(op: &dyn Op, step: u32, fast: bool) -> Vec<f32> {
    let pixels = IMAGE.iter().product::<usize>();
    let images: Vec<u8> = (0..3 * pixels).map(|i| pcg(i as u32) as u8).collect();
    run_on(&images, op, step, fast)
}

fn run_on(images: &[u8], op: &dyn Op, step: u32, fast: bool) -> Vec<f32> {
    let control = Control { key: 3, step, valid: 3, samples: 3, ..Control::default() }.words();
    let pixels = images.len() / 3;
    let x = [
        In { shape: &[Control::WORDS], elements: Elements::Word(&control) },
        In { shape: &[3, pixels], elements: Elements::Byte(images) },
    ];
    let mut batch = vec![9.0f32; 3 * pixels];
    f32::run(op, &x, &mut [Out::Float(&mut batch)], fast);
    batch
}

#[test]
fn nothing_asked_for_is_the_plain_batch() {
    let zero = op("off");
    for fast in [false, true] {
        assert_eq!(run(&zero, 5, fast), run(&zero.draw, 5, fast));
    }
}

#[test]
fn flips_are_exact_and_what_lies_outside_is_the_byte_0() {
    let [height, width, _] = IMAGE;
    let plain = run(&op("off").draw, 0, false);
    let (mut seen, flip) = ([0; 4], op("hflip,vflip"));
    for step in 0..20 {
        let control = Control { key: 3, step, ..Control::default() };
        for fast in [false, true] {
            let found = run(&flip, step, fast);
            for b in 0..3 {
                let map = flip.warp().map(&control, b);
                let [h, v] = [map.right[0] < 0.0, map.down[1] < 0.0];
                seen[usize::from(h) + 2 * usize::from(v)] += 1;
                for (p, value) in found[b * height * width..][..height * width].iter().enumerate() {
                    let (x, y) = (p % width, p / width);
                    let (x, y) = (if h { width - 1 - x } else { x }, if v { height - 1 - y } else { y });
                    assert_eq!(*value, plain[(b * height + y) * width + x]);
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    // Of a white picture a resized part is white to its edges; what comes from outside has the value of the fill.
    let white = vec![255; 3 * height * width];
    for fast in [false, true] {
        let part = run_on(&white, &op("random-resized-crop=0.2-0.6,hflip,vflip"), 3, fast);
        assert!(part.iter().all(|value| (value - 126.5).abs() < 1e-3), "{part:?}");
        let filled = run_on(&white, &op("crop=9,fill=101,cutout=3"), 3, fast);
        let count = |wanted: f32| filled.iter().filter(|value| **value == wanted).count();
        assert!(count(49.5) > 30 && count(126.5) > 30 && count(-1.0) > 0, "{filled:?}");
        assert_eq!(count(49.5) + count(126.5) + count(-1.0), filled.len());
    }
    // Cut out, or moved in from outside: the value of byte 0.
    for list in ["cutout=9", "crop=9"] {
        let found = run(&op(list), 2, true);
        assert!(found.iter().filter(|value| **value == -1.0).count() > 30, "{list}");
        assert_eq!(found, run(&op(list), 2, false), "{list}");
    }
}
