//! Sizes of a window that moves over an image: shared by convolutions and pools.

use crate::ir::launch::KernelClass;
use crate::ops::matmul::tiles::LanesTile;

/// The padding around an image before a window moves over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: the window stays inside.
    #[default]
    Valid,
    /// Zeros, so that the result has ⌈size / stride⌉ places; an odd one goes to the end, as in Keras.
    Same,
    /// Zeros above, below, left and right. PyTorch's padding n is n on all sides.
    Zeros([usize; 4]),
}

impl Padding {
    /// The same number of zeros on all sides, as PyTorch's padding n; `Valid` for 0.
    pub fn all(n: usize) -> Padding {
        Padding::sides([n; 4])
    }

    /// Zeros above, below, left and right; `Valid` without any.
    pub fn sides(sides: [usize; 4]) -> Padding {
        if sides == [0; 4] { Padding::Valid } else { Padding::Zeros(sides) }
    }

    /// Zeros before and after an axis, 0 for rows and 1 for columns, of this size.
    pub fn around(self, axis: usize, size: usize, k: usize, stride: usize) -> [usize; 2] {
        match self {
            Padding::Valid => [0; 2],
            Padding::Same => {
                let span = (size.div_ceil(stride) - 1).saturating_mul(stride).saturating_add(k);
                let zeros = span.saturating_sub(size);
                [zeros / 2, zeros - zeros / 2]
            }
            Padding::Zeros(sides) => [sides[2 * axis], sides[2 * axis + 1]],
        }
    }

    /// Rows (axis 0) or columns (axis 1) of the result of a transposed convolution of this many, which the convolution maps
    /// back to them. `Valid` keeps every row that a window reaches; `Same` keeps size · stride, as many cropped at the start
    /// as the convolution has of zeros there, and the rest at the end, where rows that no window reaches are added if the
    /// stride is larger; `Zeros` crops as many as it says. None if all are cropped.
    pub fn transposed(self, axis: usize, size: usize, k: usize, stride: usize) -> Option<usize> {
        let reached = size.saturating_sub(1).saturating_mul(stride).saturating_add(k);
        match self {
            Padding::Valid => Some(reached),
            Padding::Same => Some(size.saturating_mul(stride)),
            Padding::Zeros(sides) => {
                reached.checked_sub(sides[2 * axis].saturating_add(sides[2 * axis + 1])).filter(|rows| *rows > 0)
            }
        }
    }
}

/// Sizes of a convolution or pool: N images H × W × C, windows KH × KW at strides SH, SW, OH × OW places,
/// O output channels, PT rows and PL columns of zeros before the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub n: usize,
    /// Rows of x.
    pub h: usize,
    /// Columns of x.
    pub w: usize,
    /// Channels of x.
    pub c: usize,
    /// Rows of the window.
    pub kh: usize,
    /// Columns of the window.
    pub kw: usize,
    /// Channels of y.
    pub o: usize,
    /// Rows of y.
    pub oh: usize,
    /// Columns of y.
    pub ow: usize,
    /// Rows from one place to the next.
    pub sh: usize,
    /// Columns from one place to the next.
    pub sw: usize,
    /// Rows of zeros before the image.
    pub pt: usize,
    /// Columns of zeros before the image.
    pub pl: usize,
}

impl Geometry {
    /// The sizes for x [N, H, W, C] and a window, or a sentence that says why they do not fit.
    pub fn new(
        [n, h, w, c]: [usize; 4],
        [kh, kw]: [usize; 2],
        o: usize,
        [sh, sw]: [usize; 2],
        padding: Padding,
    ) -> Result<Geometry, String> {
        if [kh, kw, sh, sw, o].contains(&0) {
            return Err("window, stride and filters must be at least 1".into());
        }
        let along = |axis: usize, size: usize, k: usize, stride: usize| {
            let [before, after] = padding.around(axis, size, k, stride);
            let whole = size.saturating_add(before).saturating_add(after);
            match padding {
                Padding::Same => Ok((size.div_ceil(stride), before)),
                // Kernels count rows in 32 bits, the window's beyond the image too.
                Padding::Zeros(_) if whole.saturating_add(k).saturating_add(stride) > i32::MAX as usize => {
                    Err(format!("an input of {h} × {w} with its padding has more than {} rows or columns", i32::MAX))
                }
                _ if k > whole => {
                    let padded = if padding == Padding::Valid { "" } else { " with its padding" };
                    Err(format!("a window of {kh} × {kw} does not fit an input of {h} × {w}{padded}"))
                }
                _ => Ok(((whole - k) / stride + 1, before)),
            }
        };
        let ((oh, pt), (ow, pl)) = (along(0, h, kh, sh)?, along(1, w, kw, sw)?);
        Ok(Geometry { n, h, w, c, kh, kw, o, oh, ow, sh, sw, pt, pl })
    }

    /// All sizes by the names that the kernels use.
    pub fn sizes(&self) -> [(&'static str, usize); 13] {
        [
            ("n", self.n),
            ("h", self.h),
            ("w", self.w),
            ("c", self.c),
            ("kh", self.kh),
            ("kw", self.kw),
            ("o", self.o),
            ("oh", self.oh),
            ("ow", self.ow),
            ("sh", self.sh),
            ("sw", self.sw),
            ("pt", self.pt),
            ("pl", self.pl),
        ]
    }

    /// The shape of x.
    pub fn x(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.c]
    }

    /// The shape of y.
    pub fn y(&self) -> [usize; 4] {
        [self.n, self.oh, self.ow, self.o]
    }

    /// The shape of the weights.
    pub fn weights(&self) -> [usize; 4] {
        [self.kh, self.kw, self.c, self.o]
    }

    /// Terms of one output: taps times input channels.
    pub fn terms(&self) -> usize {
        self.kh * self.kw * self.c
    }

    /// Multiplications and additions of the convolution, and of each of its gradients.
    pub fn flops(&self) -> u64 {
        2 * self.places() as u64 * (self.terms() * self.o) as u64
    }

    /// Whether a window reaches beyond the image.
    pub fn padded(&self) -> bool {
        let beyond = |places: usize, stride: usize, k: usize, before: usize, size: usize| {
            before > 0 || places.saturating_sub(1) * stride + k > size
        };
        beyond(self.oh, self.sh, self.kh, self.pt, self.h) || beyond(self.ow, self.sw, self.kw, self.pl, self.w)
    }

    /// Output places of the whole batch.
    pub fn places(&self) -> usize {
        self.n * self.oh * self.ow
    }

    /// The input row (or column) of an output place and a tap, where it is inside the image.
    #[inline(always)]
    fn inside(place: usize, stride: usize, tap: usize, pad: usize, size: usize) -> Option<usize> {
        (place * stride + tap).checked_sub(pad).filter(|&at| at < size)
    }

    /// The pixel within its image that a place's window has as its tap-th; none if that is padding.
    #[inline(always)]
    pub fn pixel(&self, [oh, ow]: [usize; 2], tap: usize) -> Option<usize> {
        let row = Self::inside(oh, self.sh, tap / self.kw, self.pt, self.h)?;
        Some(row * self.w + Self::inside(ow, self.sw, tap % self.kw, self.pl, self.w)?)
    }

    /// Calls `f(x, w, y)` with the offsets of every pixel, of its C channels; of a tap, of its C·O weights;
    /// and of an output place, of its O channels, that meet in a convolution; in the order of y, then taps.
    pub fn for_each_tap(&self, mut f: impl FnMut(usize, usize, usize)) {
        for place in 0..self.places() {
            let (ow, oh, n) = (place % self.ow, place / self.ow % self.oh, place / (self.ow * self.oh));
            for i in 0..self.kh {
                let Some(row) = Self::inside(oh, self.sh, i, self.pt, self.h) else { continue };
                for j in 0..self.kw {
                    let Some(column) = Self::inside(ow, self.sw, j, self.pl, self.w) else { continue };
                    let pixel = (n * self.h + row) * self.w + column;
                    f(pixel * self.c, (i * self.kw + j) * self.c * self.o, place * self.o);
                }
            }
        }
    }
}

/// The forms that the lanes class has of a convolution's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanesForm {
    /// Few input channels: the patch of pixels that a few places read is passed around, the weights are kept.
    Patch,
    /// Input and output channels in multiples of four: a matrix product.
    Product(LanesTile),
    /// Neither fits these channels. The tile form would be right and a hundred times slower; see [`Geometry::evened`].
    Tile,
}

impl Geometry {
    /// Columns of places that a patch serves.
    const PATCH_COLUMNS: usize = 4;

    /// The form for subgroups of `lanes`; a product has `inner` channels within and `outer` across.
    pub fn lanes_form(&self, lanes: u32, inner: usize, outer: usize) -> LanesForm {
        if self.terms() <= 32 && self.o.is_multiple_of(4) && self.patch()[1] <= 96 {
            return LanesForm::Patch;
        }
        self.product_form(lanes, inner, outer)
    }

    /// `lanes_form` where no patch will do.
    pub fn product_form(&self, lanes: u32, inner: usize, outer: usize) -> LanesForm {
        match (inner % 4, outer % 4) {
            (0, 0) => LanesForm::Product(LanesTile::of(outer, lanes)),
            _ => LanesForm::Tile,
        }
    }

    /// The sizes with channels in multiples of four, where the lanes class has no form for them as they are.
    pub fn evened(&self, class: KernelClass) -> Option<Geometry> {
        let KernelClass::Lanes(lanes) = class else { return None };
        let fits = |g: &Geometry| g.lanes_form(lanes, g.c, g.o) != LanesForm::Tile;
        let outputs = Geometry { o: self.o.next_multiple_of(4), ..*self };
        match (fits(self), fits(&outputs)) {
            (true, _) => None,
            (_, true) => Some(outputs),
            _ => Some(Geometry { c: self.c.next_multiple_of(4), ..outputs }),
        }
    }

    /// Numbers in a row of the patch of 2 × 4 places, and in all of it.
    fn patch(&self) -> [usize; 2] {
        let wide = ((Self::PATCH_COLUMNS - 1) * self.sw + self.kw) * self.c;
        [wide, (self.sh + self.kh) * wide]
    }

    /// The parameters of the patch templates.
    pub fn patch_params(&self, lanes: u32) -> [(&'static str, i64); 9] {
        let [wide, patch] = self.patch();
        [
            ("L", lanes.into()),
            ("KH", self.kh as i64),
            ("KW", self.kw as i64),
            ("CI", self.c as i64),
            ("SH", self.sh as i64),
            ("SW", self.sw as i64),
            ("PC", Self::PATCH_COLUMNS as i64),
            ("WIDE", wide as i64),
            ("PATCH", patch as i64),
        ]
    }
}
