//! Gradients brought to a norm over all of them of at most a limit, as PyTorch's `clip_grad_norm_` does.

use crate::ops::optim::PIECE;
use crate::ops::prelude::*;

kernels! {
    CLIP_NORM_PARTIAL = "optim/clip_norm_partial",
    CLIP_NORM_SCALE = "optim/clip_norm_scale",
    CLIP_NORM = "optim/clip_norm",
}

/// Sums that the norm is made of, at most: what one workgroup adds up.
const PARTS: usize = 256;
/// Vectors of four that a workgroup takes at once.
const ROUND: usize = 256;

/// There are no arguments; updated in place are the gradients `[n]`: `g ← g · min(1, limit / (‖g‖ + 1e-6))`. Where the
/// norm is not a number, or beyond single precision, all but zeros become NaN, so that the watchdog finds it.
#[derive(Clone, Copy, Debug)]
pub struct ClipNorm {
    /// The largest norm that stays.
    pub limit: f64,
    /// How many gradients there are.
    pub elements: usize,
}

impl ClipNorm {
    /// The factor for gradients with this sum of squares.
    fn scale<F: Real>(&self, squares: F) -> F {
        let scale = F::of(self.limit) / (squares.sqrt() + F::of(1e-6));
        match (squares.is_finite(), scale < F::of(1.0)) {
            (false, _) => F::of(f64::NAN),
            (true, true) => scale,
            (true, false) => F::of(1.0),
        }
    }
}

/// The sum of the squares of x, in eight sums side by side.
fn squares(x: &[f32]) -> f64 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, x)| *sum += f64::from(*x) * f64::from(*x));
    }
    rest.iter().fold(sums.iter().sum(), |sum, x| sum + f64::from(*x) * f64::from(*x))
}

impl Reference for ClipNorm {
    fn reference<F: Real>(&self, _: &[In<F>], y: &mut [Out<F>]) {
        let grads = y[0].floats();
        let mut squares = F::of(0.0);
        grads.iter().for_each(|g| squares += *g * *g);
        let scale = self.scale(squares);
        grads.iter_mut().filter(|g| **g != F::of(0.0)).for_each(|g| *g = scale * *g);
    }
}

impl Op for ClipNorm {
    fn name(&self) -> &'static str {
        "clip_norm"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [] = arguments(x)?;
        Ok(vec![TensorInfo::floats("grads", [self.elements])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (grads, count) = (cx.y[0], self.elements.div_ceil(4));
        let parts = count.div_ceil(ROUND).min(PARTS);
        let (squares, scale) = (cx.scratch(parts), cx.scratch(1));
        let launch = cx.kernel(CLIP_NORM_PARTIAL, &[])?.size("count", count);
        cx.groups(launch.bind("grads", grads).bind("squares", squares), parts)?;
        let launch = cx.kernel(CLIP_NORM_SCALE, &[])?.size("count", parts).set("limit", self.limit);
        cx.groups(launch.bind("squares", squares).bind("scale", scale), 1)?;
        let launch = cx.kernel(CLIP_NORM, &[])?.size("count", count);
        cx.invocations(launch.bind("scale", scale).bind("grads", grads), count)
    }

    /// The sum of all squares, a root, a quotient at 2.5 ULP and two more.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: self.elements, ulps: 8.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.reference(x, y);
        y[0].floats().iter_mut().for_each(|g| *g = g.abs());
    }

    /// Sums in double precision: millions of squares one by one would lose their last places in single.
    fn fast(&self, _: &[In<f32>], y: &mut [Out<f32>]) {
        let grads = y[0].floats();
        // In pieces of one size, added in their order, however many threads there are.
        let pieces: Vec<f64> = grads.par_chunks(PIECE).map(squares).collect();
        let scale = self.scale(pieces.iter().sum::<f64>() as f32);
        if scale != 1.0 {
            let scaled = |g: &mut f32| *g = if *g == 0.0 { *g } else { scale * *g };
            grads.par_chunks_mut(PIECE).for_each(|grads| grads.iter_mut().for_each(scaled));
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |elements: usize, limit| Case::new(ClipNorm { limit, elements }).random([elements]).in_place();
    // One, a few, more than one workgroup, more than all of them take at once; below the limit and above.
    vec![case(1, 0.01), case(67, 100.0), case(1027, 1.0), case(4 * ROUND + 5, 0.5), case(4 * PARTS * ROUND + 1030, 3.0)]
}
