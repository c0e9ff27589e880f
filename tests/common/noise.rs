//! A data set of noise in memory, for tests of training that need no pattern to learn.
// Every test program compiles this module for itself.

use wgrad::data::{Dataset, Split};

/// Training and test images of a shape [H, W, C] whose pixels are noise; the classes take turns in steps of seven.
pub fn noise(shape: [usize; 3], classes: usize, [train, test]: [usize; 2]) -> Dataset {
    let split = |count: usize| {
        let elements = count * shape.iter().product::<usize>();
        let pixels = (0..elements).map(|i| (i * 2_654_435_761 % 65_536 / 257) as u8).collect();
        Split::new(shape, pixels, (0..count).map(|i| (i * 7 % classes) as u8).collect()).expect("a split")
    };
    Dataset::new("noise", split(train), split(test)).expect("a data set")
}
