//! `y = x · scale + shift` with a scale and a shift for each channel: what images are normalised by.

use crate::ops::prelude::*;

kernels! {
    NORMALISE = "batch/normalise",
}

/// The most channels.
pub const MOST_CHANNELS: usize = 4;

/// `y[…, c] = x[…, c] · scale[c] + shift[c]`. The argument is x [batch, height, width, channels].
#[derive(Clone, Copy, Debug)]
pub struct Normalise {
    /// The scale of each channel; further ones are not read.
    pub scale: [f32; MOST_CHANNELS],
    /// The shift of each channel.
    pub shift: [f32; MOST_CHANNELS],
}

impl Reference for Normalise {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let channels = x[0].shape.last().copied().unwrap_or(1);
        for (at, (y, x)) in y[0].floats().iter_mut().zip(x[0].floats()).enumerate() {
            let [scale, shift] = [self.scale, self.shift].map(|all| F::of(all[at % channels].into()));
            *y = *x * scale + shift;
        }
    }
}

impl Op for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [images] = arguments(x)?;
        let [.., channels] = axes::<4>(images)?;
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(format!("images {}, expected 1 to {MOST_CHANNELS} channels", images.shape));
        }
        Ok(vec![TensorInfo::floats("normalised", images.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        match at.dy[0].filter(|_| at.wants[0]) {
            None => Ok(vec![None]),
            Some(dy) => Ok(vec![Some(graph.apply(Normalise { shift: [0.0; MOST_CHANNELS], ..*self }, &[dy])?[0])]),
        }
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let channels = cx.shape(cx.x[0]).last().copied().unwrap_or(1);
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(NORMALISE, &[])?.size("count", count).size("channels", channels);
        let [a, b, c, d] = self.scale;
        let launch = launch.set("scale0", a).set("scale1", b).set("scale2", c).set("scale3", d);
        let [a, b, c, d] = self.shift;
        let launch = launch.set("shift0", a).set("shift1", b).set("shift2", c).set("shift3", d);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    /// A product and a sum.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 2.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let absolute: Vec<f64> = x[0].floats().iter().map(|x| x.abs()).collect();
        let all = |values: [f32; MOST_CHANNELS]| values.map(f32::abs);
        let positive = Normalise { scale: all(self.scale), shift: all(self.shift) };
        let images = In { shape: x[0].shape, elements: crate::ir::op::Elements::Float(&absolute) };
        positive.reference(&[images], y);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4]| {
        let op = Normalise { scale: [4.367, -2.0, 0.5, 1e-3], shift: [-2.118, 0.0, 7.5, -1e3] };
        Case::new(op).random(shape)
    };
    vec![case([2, 3, 5, 3]), case([1, 1, 1, 1]), case([3, 4, 4, 4]), case([5, 3, 3, 2]), case([2, 17, 9, 1])]
}
