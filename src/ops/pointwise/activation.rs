//! Activations other than ReLU: one op, and the table that says what each is called and what it computes.
//!
//! One more activation is an entry of the table here and a `case` of its number in each of the two shaders; layer, model
//! file, builder, suggestions, ONNX, cases and tests follow from the table.

use crate::ops::pointwise::activation_dx::ActivationDx;
use crate::ops::pointwise::fast;
use crate::ops::prelude::*;
use serde::{Deserialize, Serialize};

kernels! {
    ACTIVATION = "pointwise/activation",
}

/// The inputs that a step of an activation's ONNX form reads after the result of the previous step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum With {
    /// Nothing else.
    Alone,
    /// The activation's own argument.
    Argument,
    /// A number.
    Number(f32),
    /// Nothing else, but the activation's slope as the attribute of this name.
    SlopeAs(&'static str),
}

/// A derivative, and what it is computed from.
#[derive(Clone, Copy)]
enum Of {
    /// The activation's argument.
    Argument(fn(f64, f64) -> f64),
    /// Its result: the argument need not be kept for the gradient.
    Result(fn(f64, f64) -> f64),
    /// Either of the two, as long as the slope is not below 0; else the argument.
    Either(fn(f64, f64) -> f64),
}

/// An entry of the table. Functions take x and the slope, and are in double precision.
struct Row {
    name: &'static str,
    /// What the model file's `slope` is by default; none if the activation has no slope.
    slope: Option<f32>,
    value: fn(f64, f64) -> f64,
    /// Of the argument, or of the result.
    derivative: Of,
    /// The most that the derivative's magnitude is, by the slope.
    steepest: fn(f64) -> f64,
    /// What the roundings of the value and of the derivative scale with; each is of what its function is of. A derivative of the
    /// result has the sum of its terms without their signs: the result has been rounded, and 1 less it may be next to nothing.
    sizes: [fn(f64, f64) -> f64; 2],
    onnx: &'static [(&'static str, With)],
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident { $($row:tt)* })*) => {
        /// The function of an activation. Its number is the kernels' `kind`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Function { $($(#[$doc])* $name),* }

        impl Function {
            /// Every one, in the order of their numbers.
            pub const ALL: &[Function] = &[$(Function::$name),*];

            fn row(self) -> &'static Row {
                match self { $(Function::$name => { static ROW: Row = Row { $($row)* }; &ROW })* }
            }
        }
    };
}

// Where x < 0 a result is e^x times something; WGSL allows exp(x) an error of 3 + 2|x| ULP, hence `tail`.
functions! {
    /// 1 / (1 + e⁻ˣ).
    Sigmoid {
        name: "sigmoid",
        slope: None,
        value: |x, _| sigmoid(x),
        derivative: Of::Result(|y, _| y * (1.0 - y)),
        steepest: |_| 0.25,
        sizes: [|x, _| sigmoid(x) * tail(x), |y, _| y.abs() * (1.0 + y.abs())],
        onnx: &[("Sigmoid", With::Alone)],
    }
    /// (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).
    Tanh {
        name: "tanh",
        slope: None,
        value: |x, _| x.tanh(),
        derivative: Of::Result(|y, _| (1.0 - y) * (1.0 + y)),
        steepest: |_| 1.0,
        sizes: [|x, _| x.tanh().abs(), |y, _| 1.0 + y * y],
        onnx: &[("Tanh", With::Alone)],
    }
    /// x · Φ(x) with the normal distribution Φ(x) = (1 + erf(x / √2)) / 2, exact (Hendrycks and Gimpel, 2016).
    Gelu {
        name: "gelu",
        slope: None,
        value: |x, _| x * normal(x),
        derivative: Of::Argument(|x, _| normal(x) + x * density(x)),
        steepest: |_| 1.13,
        // erf is good to a unit of one, not of what is left of 1 + erf.
        sizes: [|x, _| x.abs(), |_, _| 1.0],
        onnx: &[
            ("Mul", With::Number(std::f32::consts::FRAC_1_SQRT_2)),
            ("Erf", With::Alone),
            ("Add", With::Number(1.0)),
            ("Mul", With::Argument),
            ("Mul", With::Number(0.5)),
        ],
    }
    /// x / (1 + e⁻ˣ), also called swish (Elfwing et al., 2017).
    Silu {
        name: "silu",
        slope: None,
        value: |x, _| x * sigmoid(x),
        derivative: Of::Argument(|x, _| sigmoid(x) * (1.0 + x * sigmoid(-x))),
        steepest: |_| 1.1,
        sizes: [
            |x, _| x.abs() * sigmoid(x) * tail(x),
            |x, _| sigmoid(x) * (1.0 + x.abs() * sigmoid(-x)) * tail(x),
        ],
        onnx: &[("Sigmoid", With::Alone), ("Mul", With::Argument)],
    }
    /// x where x > 0, else slope · x.
    LeakyRelu {
        name: "leaky_relu",
        slope: Some(0.01),
        value: |x, slope| if x > 0.0 { x } else { slope * x },
        derivative: Of::Either(|x, slope| if x > 0.0 { 1.0 } else { slope }),
        steepest: |slope| slope.abs().max(1.0),
        sizes: [
            |x, slope| if x > 0.0 { x } else { (slope * x).abs() },
            |x, slope| if x > 0.0 { 1.0 } else { slope.abs() },
        ],
        onnx: &[("LeakyRelu", With::SlopeAs("alpha"))],
    }
    /// ln(1 + eˣ).
    Softplus {
        name: "softplus",
        slope: None,
        value: |x, _| x.max(0.0) + (-x.abs()).exp().ln_1p(),
        // 1 - e⁻ʸ would cancel where the result is small.
        derivative: Of::Argument(|x, _| sigmoid(x)),
        steepest: |_| 1.0,
        sizes: [|x, _| (x.max(0.0) + (-x.abs()).exp().ln_1p()) * tail(x), |x, _| sigmoid(x) * tail(x)],
        onnx: &[("Softplus", With::Alone)],
    }
    /// x · min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).
    HardSwish {
        name: "hard_swish",
        slope: None,
        value: |x, _| x * ((x + 3.0).clamp(0.0, 6.0) / 6.0),
        // At both kinks the slope of the straight side, as PyTorch has it.
        derivative: Of::Argument(|x, _| if x <= -3.0 { 0.0 } else if x < 3.0 { x / 3.0 + 0.5 } else { 1.0 }),
        steepest: |_| 1.5,
        sizes: [
            |x, _| x.abs() * ((x + 3.0).clamp(0.0, 6.0) / 6.0),
            |x, _| if x <= -3.0 { 0.0 } else if x < 3.0 { x.abs() / 3.0 + 0.5 } else { 1.0 },
        ],
        onnx: &[("HardSwish", With::Alone)],
    }
    /// x · σ(2·√(2/π)·(x + 0.044715·x³)), which is x · (1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2: the form of GELU in GPT-2.
    GeluTanh {
        name: "gelu_tanh",
        slope: None,
        value: |x, _| x * sigmoid(cubic(x)),
        derivative: Of::Argument(|x, _| {
            // Farther out it is 0 or 1.
            let t = x.clamp(-20.0, 20.0);
            sigmoid(cubic(t)) * (1.0 + t * cubic_slope(t) * sigmoid(-cubic(t)))
        }),
        steepest: |_| 1.13,
        sizes: [
            |x, _| x.abs() * sigmoid(cubic(x)) * tail(cubic(x)),
            |x, _| {
                let t = x.clamp(-20.0, 20.0);
                let (s, rest, size) = (sigmoid(cubic(t)), sigmoid(-cubic(t)), 1.0 + cubic(t).abs());
                s * tail(cubic(t)) + t.abs() * cubic_slope(t) * s * rest * size
            },
        ],
        onnx: &[
            ("Mul", With::Argument),
            ("Mul", With::Number((GELU_LINEAR * GELU_CUBIC) as f32)),
            ("Add", With::Number(GELU_LINEAR as f32)),
            ("Mul", With::Argument),
            ("Sigmoid", With::Alone),
            ("Mul", With::Argument),
        ],
    }
    /// min(max(x, 0), 6).
    Relu6 {
        name: "relu6",
        slope: None,
        value: |x, _| x.clamp(0.0, 6.0),
        // At both kinks 0, as PyTorch has it.
        derivative: Of::Result(|y, _| if y > 0.0 && y < 6.0 { 1.0 } else { 0.0 }),
        steepest: |_| 1.0,
        sizes: [|x, _| x.clamp(0.0, 6.0), |_, _| 1.0],
        onnx: &[("Relu", With::Alone), ("Min", With::Number(6.0))],
    }
    /// min(max(x + 3, 0), 6) / 6, PyTorch's. Keras's is min(max(x + 2.5, 0), 5) / 5 before its version 3.
    HardSigmoid {
        name: "hard_sigmoid",
        slope: None,
        value: |x, _| (x + 3.0).clamp(0.0, 6.0) / 6.0,
        derivative: Of::Argument(|x, _| if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 }),
        steepest: |_| 0.17,
        sizes: [|x, _| (x.abs() + 3.0).min(6.0) / 6.0, |_, _| 0.17],
        onnx: &[
            ("Add", With::Number(3.0)),
            ("Relu", With::Alone),
            ("Min", With::Number(6.0)),
            ("Div", With::Number(6.0)),
        ],
    }
    /// x where x > 0, else slope · (eˣ − 1) (Clevert et al., 2015).
    Elu {
        name: "elu",
        slope: Some(1.0),
        value: |x, slope| if x > 0.0 { x } else { slope * x.exp_m1() },
        derivative: Of::Argument(|x, slope| if x > 0.0 { 1.0 } else { slope * x.exp() }),
        steepest: |slope| slope.abs().max(1.0),
        sizes: [
            |x, slope| if x > 0.0 { x } else { slope.abs() * -x.exp_m1() * tail(x) },
            |x, slope| if x > 0.0 { 1.0 } else { slope.abs() * x.exp() * tail(x) },
        ],
        onnx: &[("Elu", With::SlopeAs("alpha"))],
    }
    /// 1.0507 · x where x > 0, else 1.7581 · (eˣ − 1) (Klambauer et al., 2017).
    Selu {
        name: "selu",
        slope: None,
        value: |x, _| if x > 0.0 { SELU * x } else { SELU_BELOW * x.exp_m1() },
        derivative: Of::Argument(|x, _| if x > 0.0 { SELU } else { SELU_BELOW * x.exp() }),
        steepest: |_| SELU_BELOW,
        sizes: [
            |x, _| if x > 0.0 { SELU * x } else { SELU_BELOW * -x.exp_m1() * tail(x) },
            |x, _| if x > 0.0 { SELU } else { SELU_BELOW * x.exp() * tail(x) },
        ],
        onnx: &[("Selu", With::Alone)],
    }
    /// x · tanh(ln(1 + eˣ)) (Misra, 2019).
    Mish {
        name: "mish",
        slope: None,
        value: |x, _| x * tanh_softplus(x)[0],
        derivative: Of::Argument(|x, _| {
            let [tanh, rest] = tanh_softplus(x);
            tanh + x * rest * sigmoid(x)
        }),
        steepest: |_| 1.09,
        sizes: [
            |x, _| x.abs() * tanh_softplus(x)[0] * tail(x),
            |x, _| {
                let [tanh, rest] = tanh_softplus(x);
                (tanh + x.abs() * rest * sigmoid(x)) * (1.0 + x.abs())
            },
        ],
        onnx: &[("Softplus", With::Alone), ("Tanh", With::Alone), ("Mul", With::Argument)],
    }
}

/// 2·√(2/π), and what x³ is multiplied by in it.
pub(super) const GELU_LINEAR: f64 = 1.595_769_121_605_730_7;
pub(super) const GELU_CUBIC: f64 = 0.044_715;

/// The argument of the sigmoid in the tanh form of GELU.
fn cubic(x: f64) -> f64 {
    GELU_LINEAR * x * (1.0 + GELU_CUBIC * x * x)
}

/// Its derivative.
fn cubic_slope(x: f64) -> f64 {
    GELU_LINEAR * (1.0 + 3.0 * GELU_CUBIC * x * x)
}

/// The slope of selu above 0, and its limit below 0 with another sign.
const SELU: f64 = 1.050_700_987_355_480_5;
const SELU_BELOW: f64 = SELU * 1.673_263_242_354_377_2;

/// tanh(ln(1 + eˣ)) and 1 less its square, without overflow or cancellation: a / b and (b - a)(b + a) / b².
fn tanh_softplus(x: f64) -> [f64; 2] {
    let e = (-x.abs()).exp();
    let (a, more) = if x >= 0.0 { (1.0 + 2.0 * e, 2.0 * e * e) } else { (e * (e + 2.0), 2.0) };
    let b = a + more;
    [a / b, more * (a + b) / (b * b)]
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// Φ, without the cancellation of 1 + erf.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The density of the normal distribution.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

fn tail(x: f64) -> f64 {
    1.0 + (-x).max(0.0)
}

/// ULP of WGSL's `exp` at most 3 beyond what `tail` has, a division of 2.5 and a few roundings, each of two units.
pub(in crate::ops) const ULPS: f64 = 24.0;

/// The largest error from a factor that a device flushed to zero: 2⁻¹²⁶ times an x of up to 10⁴, in tolerances of u.
const FLUSHED: f64 = 1e-27;

impl Function {
    /// Its name in model files.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of a name.
    pub fn named(name: &str) -> Option<Function> {
        Self::ALL.iter().copied().find(|function| function.name() == name)
    }

    /// The default of its slope; none if it has no slope.
    pub fn slope(self) -> Option<f32> {
        self.row().slope
    }

    /// Its form in ONNX: a chain of operators.
    pub fn onnx(self) -> &'static [(&'static str, With)] {
        self.row().onnx
    }

    /// Its value at x.
    pub(in crate::ops) fn value(self, x: f64, slope: f32) -> f64 {
        (self.row().value)(x, slope.into())
    }

    /// Its derivative, where its argument is x, or its result: see [`Activation::by_result`].
    pub(in crate::ops) fn derivative(self, x: f64, slope: f32) -> f64 {
        let (Of::Argument(derivative) | Of::Result(derivative) | Of::Either(derivative)) = self.row().derivative;
        derivative(x, slope.into())
    }

    /// The scale of the rounding error of its value at x.
    pub(in crate::ops) fn value_size(self, x: f64, slope: f32) -> f64 {
        self.row().sizes[0](x, slope.into()) + FLUSHED
    }

    /// What the rounding of its derivative, of what that is of, scales with.
    pub(in crate::ops) fn derivative_size(self, x: f64, slope: f32) -> f64 {
        self.row().sizes[1](x, slope.into()) + FLUSHED
    }
}

impl TryFrom<String> for Function {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let names: Vec<&str> = Function::ALL.iter().map(|function| function.name()).collect();
        Function::named(&name).ok_or_else(|| format!("found no activation {name:?}, expected {}", names.join(", ")))
    }
}

impl From<Function> for String {
    fn from(function: Function) -> String {
        function.name().into()
    }
}

/// `y = f(x)`, of any shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// The function.
    pub function: Function,
    /// Its slope; 0 where it has none.
    pub slope: f32,
}

impl Activation {
    /// Whether its gradient is computed from its result, as PyTorch does it, and not from its argument.
    pub fn by_result(self) -> bool {
        match self.function.row().derivative {
            Of::Argument(_) => false,
            Of::Result(_) => true,
            Of::Either(_) => self.slope >= 0.0,
        }
    }

    /// The most that its derivative's magnitude is.
    pub(in crate::ops) fn steepest(self) -> f64 {
        (self.function.row().steepest)(self.slope.into())
    }
}

impl Reference for Activation {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        // In double precision throughout: a table entry is written once.
        let y = y[0].floats().par_chunks_mut(4096).zip(x[0].floats().par_chunks(4096));
        y.for_each(|(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = F::of(self.function.value(x.f64(), self.slope));
            }
        });
    }
}

impl Op for Activation {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        Ok(vec![TensorInfo::floats(self.function.name(), x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let of = if self.by_result() { at.y[0] } else { at.x[0] };
        Ok(vec![Some(graph.apply(ActivationDx(*self), &[dy, of])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(ACTIVATION, &[])?.size("count", count);
        let launch = launch.set("kind", self.function as u32).set("slope", self.slope);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        if !fast::apply(self.function, y[0].floats(), x[0].floats(), None) {
            self.reference(x, y);
        }
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: ULPS }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        for (y, x) in y[0].floats().iter_mut().zip(x[0].floats()) {
            *y = self.function.value_size(*x, self.slope);
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }
}

/// Every function with its default slope.
pub(in crate::ops) fn each() -> impl Iterator<Item = Activation> {
    Function::ALL.iter().map(|&function| Activation { function, slope: function.slope().unwrap_or(0.0) })
}

/// Where the formulas change their form or leave the range of floats, on both sides of zero.
pub(in crate::ops) fn awkward() -> Vec<f32> {
    let x = [0.0, 1e-20, 1e-4, 0.3, 0.624, 0.626, 1.0, 1.2784645, 1.312, 1.3121, 3.0, 5.6, 5.7, 6.0, 9.1, 17.4];
    let far = [20.0, 43.0, 87.0, 87.4, 89.0, 104.0, 1e4];
    x.iter().chain(&far).flat_map(|&x| [x, -x]).collect()
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |op: Activation| {
        let x = awkward();
        [Case::new(op).floats([x.len()], x), Case::new(op).random([1]), Case::new(op).random([3, 5, 2, 67])]
    };
    let steep = Activation { function: Function::LeakyRelu, slope: -1.5 };
    // 16,777,221 elements need more than 65,535 workgroups of 64 vectors.
    let large = Case::new(Activation { function: Function::Sigmoid, slope: 0.0 }).random([16_777_221]);
    each().flat_map(of).chain([Case::new(steep).random([7]), large]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, and numbers as the kernels have them.
    #[test]
    fn the_table_has_each_name_once() {
        let names: std::collections::BTreeSet<&str> = Function::ALL.iter().map(|function| function.name()).collect();
        assert_eq!(names.len(), Function::ALL.len());
        for (number, &function) in Function::ALL.iter().enumerate() {
            assert_eq!(function as usize, number);
            assert_eq!(Function::named(function.name()), Some(function));
            assert_eq!(Function::try_from(String::from(function)), Ok(function));
        }
        assert!(Function::try_from("gelo".to_string()).unwrap_err().contains("gelu"));
    }

    /// The derivative is that of the value: central differences, at a kink the one of a side; and finite at any distance.
    #[test]
    fn derivatives_are_those_of_the_values() {
        const STEP: f64 = 1e-5;
        for op in each() {
            let value = |x: f64| op.function.value(x, op.slope);
            let derivative = |x: f64| op.function.derivative(if op.by_result() { value(x) } else { x }, op.slope);
            for x in awkward().into_iter().map(f64::from) {
                let [left, right] = [-STEP, STEP].map(|step| (value(x + step) - value(x)) / step);
                let derivative = derivative(x);
                assert!(derivative.abs() <= op.steepest(), "{op:?} at {x}: {derivative}");
                // Roundings of values up to |x|, over the step. No second derivative is above 1.
                let rounding = 4.0 * f64::EPSILON * (1.0 + x.abs()) / STEP;
                // Of elu the slope has a kink at 0, of the others the value.
                let bends = op.function == Function::Elu && x.abs() < STEP;
                let (error, tolerance) = match !bends && (right - left).abs() <= STEP + 2.0 * rounding {
                    true => ((0.5 * (left + right) - derivative).abs(), rounding + STEP * STEP),
                    false => ((left - derivative).abs().min((right - derivative).abs()), rounding + STEP),
                };
                assert!(error <= tolerance, "{op:?} at {x}: {derivative}, slopes {left} and {right}");
            }
            for x in [1e4, 1e30, f64::from(f32::MAX)].into_iter().flat_map(|x| [x, -x]) {
                assert!([value(x), derivative(x)].iter().all(|y| y.is_finite()), "{op:?} at {x}");
            }
        }
    }
}
