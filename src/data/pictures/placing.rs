//! The placement of a picture that is resized: the part that is used, and its position in the result.

use crate::data::Fit;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// The part of a picture that is taken, and where in the new size it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placing {
    /// In the picture.
    pub taken: Area,
    /// In the new size; what is outside is padded.
    pub placed: Area,
}

impl Area {
    /// An area in the middle of `whole` = [height, width].
    fn middle([height, width]: [usize; 2], whole: [usize; 2]) -> Area {
        Area { top: (whole[0] - height) / 2, left: (whole[1] - width) / 2, height, width }
    }
}

impl Placing {
    /// How a picture of `from` = [height, width] is brought to the size `to`. No side may be 0.
    pub fn of(from: [usize; 2], to: [usize; 2], fit: Fit) -> Placing {
        // What of one side goes with the whole of the other.
        let part =
            |of: usize, by: usize, whole: usize| ((of as f64 * whole as f64 / by as f64).round() as usize).max(1);
        // The largest part of `whole` that has the proportion of `like`.
        let inside = |whole: [usize; 2], like: [usize; 2]| {
            let [height, width] = whole;
            [part(like[0], like[1], width).min(height), part(like[1], like[0], height).min(width)]
        };
        let (taken, placed) = match fit {
            Fit::Stretch => (from, to),
            Fit::Crop => (inside(from, to), to),
            Fit::Pad => (from, inside(to, from)),
        };
        Placing { taken: Area::middle(taken, from), placed: Area::middle(placed, to) }
    }

    /// The way back, from the new size to the picture's own.
    pub fn back(self) -> Placing {
        Placing { taken: self.placed, placed: self.taken }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_kept_where_they_are_to_be() {
        let area = |top, left, height, width| Area { top, left, height, width };
        for (fit, taken, placed) in [
            (Fit::Stretch, area(0, 0, 4, 8), area(0, 0, 6, 6)),
            (Fit::Crop, area(0, 2, 4, 4), area(0, 0, 6, 6)),
            (Fit::Pad, area(0, 0, 4, 8), area(1, 0, 3, 6)),
        ] {
            let found = Placing::of([4, 8], [6, 6], fit);
            assert_eq!((found.taken, found.placed), (taken, placed), "{fit:?}");
            assert_eq!(found.back().back(), found);
            let same = Placing::of([5, 7], [5, 7], fit);
            assert_eq!((same.taken, same.placed), (area(0, 0, 5, 7), area(0, 0, 5, 7)), "{fit:?}");
        }
        assert_eq!(Placing::of([1, 900], [6, 6], Fit::Pad).placed, area(2, 0, 1, 6), "no side becomes 0");
    }
}
