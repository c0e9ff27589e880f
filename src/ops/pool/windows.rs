//! The windows of a pool: their sizes, steps, padding and rounding.

use crate::ir::launch::Launch;
use crate::ops::conv::geometry::{Geometry, Padding};

/// The windows of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Height and width of a window.
    pub size: [usize; 2],
    /// Steps from one window to the next.
    pub stride: [usize; 2],
    /// What surrounds the image. No window lies in it alone.
    pub padding: Padding,
    /// Whether a last window that begins within the image and its padding but ends beyond counts: PyTorch's `ceil_mode`.
    pub ceil: bool,
}

impl Windows {
    /// Windows inside the image.
    pub const fn new(size: [usize; 2], stride: [usize; 2]) -> Windows {
        Windows { size, stride, padding: Padding::Valid, ceil: false }
    }

    /// The sizes for x [N, H, W, C], or a sentence that says why they do not fit.
    pub fn geometry(&self, x: [usize; 4]) -> Result<Geometry, String> {
        let Windows { size, stride, padding, ceil } = *self;
        if let Padding::Zeros(sides) = padding
            && let Some(at) = (0..4).find(|&side| sides[side] >= size[side / 2])
        {
            let (found, [kh, kw]) = (sides[at], size);
            let expected = "expected less than the window, which would lie in the padding alone";
            return Err(format!("found padding of {found} beside a window of {kh} × {kw}, {expected}"));
        }
        let mut g = Geometry::new(x, size, x[3], stride, padding)?;
        if ceil && padding != Padding::Same {
            let places = |axis: usize, size: usize, k: usize, stride: usize| {
                let [before, after] = padding.around(axis, size, k, stride);
                let last = (size + before + after - k).div_ceil(stride);
                // One that would begin in the padding after the image is left out.
                if last * stride >= size + before { last } else { last + 1 }
            };
            (g.oh, g.ow) = (places(0, g.h, g.kh, g.sh), places(1, g.w, g.kw, g.sw));
        }
        Ok(g)
    }

    /// Of each axis, the first place that counts in a window's area and the one after the last, counted from the first row
    /// of padding: all of the padding, or the image alone.
    pub fn counted(&self, g: &Geometry, with_padding: bool) -> [[usize; 2]; 2] {
        let of = |axis: usize, size: usize, k: usize, stride: usize| {
            let [before, after] = self.padding.around(axis, size, k, stride);
            if with_padding { [0, before + size + after] } else { [before, before + size] }
        };
        [of(0, g.h, g.kh, g.sh), of(1, g.w, g.kw, g.sw)]
    }

    /// The area of each window, row by row.
    pub fn areas(&self, g: &Geometry, with_padding: bool) -> Vec<Vec<usize>> {
        let counted = self.counted(g, with_padding);
        (0..g.oh).map(|oh| (0..g.ow).map(|ow| area(g, counted, [oh, ow])).collect()).collect()
    }
}

/// The places of a window that count.
pub(in crate::ops) fn area(g: &Geometry, counted: [[usize; 2]; 2], [oh, ow]: [usize; 2]) -> usize {
    let of = |place: usize, stride: usize, k: usize, [low, high]: [usize; 2]| {
        (place * stride + k).min(high) - (place * stride).max(low)
    };
    of(oh, g.sh, g.kh, counted[0]) * of(ow, g.sw, g.kw, counted[1])
}

/// Sets what kernels need to know the area of a window.
pub(in crate::ops) fn set_area(launch: Launch, counted: [[usize; 2]; 2]) -> Launch {
    let [[low_h, high_h], [low_w, high_w]] = counted;
    launch.sizes(&[("low_h", low_h), ("high_h", high_h), ("low_w", low_w), ("high_w", high_w)])
}

/// Windows that are awkward on purpose, and x that they move over: padding on some sides, more than the stride, ends that are
/// cut, and a stride beyond the window.
pub(in crate::ops) fn awkward() -> Vec<(Windows, [usize; 4])> {
    let windows = |size, stride, padding, ceil| Windows { size, stride, padding, ceil };
    use Padding::{Same, Valid};
    vec![
        (windows([3, 3], [2, 2], Padding::all(1), false), [2, 7, 6, 5]),
        (windows([3, 2], [2, 2], Valid, true), [1, 8, 7, 4]),
        (windows([3, 3], [2, 2], Padding::all(1), true), [2, 6, 5, 8]),
        (windows([3, 3], [1, 1], Same, false), [1, 5, 4, 3]),
        (windows([2, 3], [3, 2], Same, false), [1, 7, 8, 4]),
        (windows([4, 3], [1, 3], Padding::sides([0, 3, 2, 1]), false), [2, 6, 7, 3]),
        (windows([2, 2], [3, 5], Padding::sides([1, 0, 0, 1]), true), [1, 9, 12, 4]),
        (windows([9, 8], [1, 1], Padding::sides([1, 0, 0, 0]), false), [2, 8, 8, 9]),
        (windows([3, 3], [1, 1], Padding::all(2), false), [1, 1, 1, 1]),
    ]
}
