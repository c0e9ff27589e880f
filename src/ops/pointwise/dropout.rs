//! Dropout: some elements, or whole samples, zeroed at random, the others scaled up, drawn again in each step.

use crate::ops::prelude::*;
use crate::step::control::{Control, pcg};

kernels! {
    DROPOUT = "pointwise/dropout",
}

/// `y = x / (1 - rate)` where element and step draw 1, else 0 (Srivastava et al., 2014, scaled in training).
///
/// The arguments are the control block and x of any shape. Nothing is stored for the gradient, which is the same op on
/// dy: what an element draws follows from the control block's key and step, the salt and the element's place. A layer
/// that keeps one order of elements forward and backward therefore has one mask.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The share of elements that become zero, at least 0 and below 1.
    pub rate: f32,
    /// The number that distinguishes the dropouts of a net.
    pub salt: u32,
    /// Elements that become zero together: 1, or all of a sample (stochastic depth; Huang et al., 2016).
    pub each: usize,
}

impl Dropout {
    /// Elements whose 32 random bits are below this become zero.
    fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 2f64.powi(32)) as u32
    }

    fn apply<F: Real>(&self, x: &[In<F>], y: &mut [F]) {
        let control = Control::read(x[0].words());
        let salt = pcg(control.key ^ pcg(control.step ^ pcg(self.salt)));
        let (threshold, scale) = (self.threshold(), F::of(1.0 / (1.0 - f64::from(self.rate))));
        y.par_chunks_mut(4096).zip(x[1].floats().par_chunks(4096)).enumerate().for_each(|(chunk, (y, x))| {
            for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
                let place = ((4096 * chunk + i) / self.each) as u32;
                *y = if pcg(place ^ salt) < threshold { F::of(0.0) } else { *x * scale };
            }
        });
    }
}

impl Reference for Dropout {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.apply(x, y[0].floats());
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [control, x] = arguments(x)?;
        if control.elements() != Control::WORDS {
            return Err(format!(
                "a control block of {} words where {} are expected",
                control.elements(),
                Control::WORDS
            ));
        }
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("a rate of {} where 0 to below 1 is expected", self.rate));
        }
        if self.each == 0 || !x.elements().is_multiple_of(self.each) {
            return Err(format!("found {} elements in parts of {}, expected whole parts", x.elements(), self.each));
        }
        Ok(vec![TensorInfo::floats("dropout", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None, None]) };
        Ok(vec![None, Some(graph.apply(*self, &[at.x[0], dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(DROPOUT, &[])?.size("count", count);
        let launch = launch.set("threshold", self.threshold()).set("salt", self.salt).size("each", self.each);
        let launch = launch.set("scale", 1.0 / (1.0 - f64::from(self.rate)));
        cx.invocations(launch.bind("control", cx.x[0]).bind("x", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 4.0 }
    }

    /// The mask goes by memory, not by meaning: any order of the elements of a sample is as random as another.
    fn is_elementwise(&self) -> bool {
        true
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let parts = |rate, salt, step, shape: Vec<usize>, each| {
        let control = Control { key: 0x9e37_79b9, step, valid: 1, samples: 9, ..Control::default() };
        Case::new(Dropout { rate, salt, each }).words([Control::WORDS], control.words()).random(Shape(shape))
    };
    let case = |rate, salt, step, shape| parts(rate, salt, step, shape, 1);
    vec![
        parts(0.5, 4, 3, vec![9, 3, 5], 15),
        parts(0.3, 4, 3, vec![7, 2, 2, 2], 8),
        case(0.5, 0, 0, vec![1]),
        case(0.25, 3, 7, vec![3, 5, 2]),
        case(0.0, 1, 1, vec![7]),
        case(0.999, 1, u32::MAX, vec![64, 1031]),
        case(0.1, 2, 5, vec![16_777_221]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rate: f32, salt: u32, step: u32, count: usize) -> Vec<bool> {
        let control = Control { key: 5, step, ..Control::default() }.words();
        let ones = vec![1.0f64; count];
        let x = [
            In { shape: &[Control::WORDS], elements: crate::ir::op::Elements::Word(&control) },
            In { shape: &[count], elements: crate::ir::op::Elements::Float(&ones) },
        ];
        let mut y = vec![0.0; count];
        Dropout { rate, salt, each: 1 }.apply(&x, &mut y);
        let scale = 1.0 / (1.0 - f64::from(rate));
        assert!(y.iter().all(|&y| y == 0.0 || y == scale));
        y.iter().map(|&y| y == 0.0).collect()
    }

    /// Shares within five deviations, and steps and layers that do not know of each other.
    #[test]
    fn the_mask_has_its_rate_and_is_new_in_each_step_and_layer() {
        const COUNT: usize = 100_000;
        let share = |mask: &[bool]| mask.iter().filter(|&&zero| zero).count() as f64 / COUNT as f64;
        let near = |found: f64, want: f64| (found - want).abs() <= 5.0 * (want * (1.0 - want) / COUNT as f64).sqrt();
        for rate in [0.0, 0.1, 0.5, 0.9] {
            let found = share(&mask(rate, 1, 1, COUNT));
            assert!(near(found, rate.into()), "{rate}: {found}");
        }
        let one = mask(0.5, 1, 1, COUNT);
        assert_eq!(one, mask(0.5, 1, 1, COUNT));
        for (salt, step) in [(1, 2), (2, 1), (2, 2), (0, 0)] {
            let other = mask(0.5, salt, step, COUNT);
            let same: Vec<bool> = one.iter().zip(&other).map(|(a, b)| a == b).collect();
            assert!(near(share(&same), 0.5), "{salt} {step}: {}", share(&same));
        }
        let neighbours: Vec<bool> = one.iter().zip(one.iter().cycle().skip(1)).map(|(a, b)| a == b).collect();
        assert!(near(share(&neighbours), 0.5));
    }
}
