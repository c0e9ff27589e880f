//! The `Op` trait: what one column of the registry has to provide, and the views its arithmetic works on.

use crate::error::Result;
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::ir::launch::Lower;
use std::any::Any;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// The float type of a reference: `f32`, or `f64` where it serves as the oracle.
pub trait Real:
    Copy
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + 'static
{
    /// The nearest value of this type.
    fn of(x: f64) -> Self;
    /// This value, exactly.
    fn f64(self) -> f64;
    /// e to the power of this value.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// Whether this is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    /// Runs an op in this type: the fast form in single precision where `fast`, else the reference.
    fn run(op: &dyn Op, x: &[In<Self>], y: &mut [Out<Self>], fast: bool);
}

macro_rules! real {
    ($float:ty, $run:expr) => {
        impl Real for $float {
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $float
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn ln(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            fn run(op: &dyn Op, x: &[In<Self>], y: &mut [Out<Self>], fast: bool) {
                $run(op, x, y, fast);
            }
        }
    };
}
real!(f32, |op: &dyn Op, x: &[In<f32>], y: &mut [Out<f32>], fast| match fast {
    true => op.fast(x, y),
    false => op.reference_f32(x, y),
});
real!(f64, |op: &dyn Op, x: &[In<f64>], y: &mut [Out<f64>], _| op.reference_f64(x, y));

/// An input of an op: one tensor.
#[derive(Clone, Copy, Debug)]
pub struct In<'a, F> {
    /// Its sizes.
    pub shape: &'a [usize],
    /// Its elements, row-major.
    pub elements: Elements<'a, F>,
}

/// The elements of a tensor.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a, F> {
    /// Floats.
    Float(&'a [F]),
    /// Words: labels, indices, the control block.
    Word(&'a [u32]),
    /// Bytes of the data set.
    Byte(&'a [u8]),
}

/// An output of an op, or a tensor updated in place: its elements, row-major.
#[derive(Debug)]
pub enum Out<'a, F> {
    /// Floats.
    Float(&'a mut [F]),
    /// Words.
    Word(&'a mut [u32]),
}

// The element type of an argument is the op's own declaration (`Op::outputs`), so that a mismatch is a
// defect of the op and no input from outside can cause one.
impl<'a, F> In<'a, F> {
    /// The floats of a float argument.
    pub fn floats(&self) -> &'a [F] {
        match self.elements {
            Elements::Float(x) => x,
            _ => unreachable!("this argument is declared as floats"),
        }
    }

    /// The words of a word argument.
    pub fn words(&self) -> &'a [u32] {
        match self.elements {
            Elements::Word(x) => x,
            _ => unreachable!("this argument is declared as words"),
        }
    }

    /// The bytes of a byte argument.
    pub fn bytes(&self) -> &'a [u8] {
        match self.elements {
            Elements::Byte(x) => x,
            _ => unreachable!("this argument is declared as bytes"),
        }
    }

    /// The sizes of an argument that is declared to have `N` axes.
    pub fn axes<const N: usize>(&self) -> [usize; N] {
        match self.shape.try_into() {
            Ok(axes) => axes,
            Err(_) => unreachable!("this argument is declared with {N} axes"),
        }
    }
}

impl<F> Out<'_, F> {
    /// The floats of a float result.
    pub fn floats(&mut self) -> &mut [F] {
        match self {
            Out::Float(y) => y,
            Out::Word(_) => unreachable!("this result is declared as floats"),
        }
    }

    /// The words of a word result.
    pub fn words(&mut self) -> &mut [u32] {
        match self {
            Out::Word(y) => y,
            Out::Float(_) => unreachable!("this result is declared as words"),
        }
    }
}

/// The formula of an op, naive and in formula order, generic over the float type.
///
/// As `f64` it is the oracle with which every other form is compared.
pub trait Reference {
    /// Computes the results `y` from the arguments `x`.
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]);
}

/// `Reference` for the two float types, callable through `dyn Op`.
pub trait RunReference {
    /// The reference in single precision.
    fn reference_f32(&self, x: &[In<f32>], y: &mut [Out<f32>]);
    /// The reference in double precision: the oracle.
    fn reference_f64(&self, x: &[In<f64>], y: &mut [Out<f64>]);
}

impl<T: Reference> RunReference for T {
    fn reference_f32(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        self.reference(x, y);
    }
    fn reference_f64(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.reference(x, y);
    }
}

/// Runs the formula of `op` on absolute values: for sums of products, the sums of their magnitudes.
pub fn run_on_magnitudes(op: &(impl RunReference + ?Sized), x: &[In<f64>], y: &mut [Out<f64>]) {
    let absolute: Vec<Option<Vec<f64>>> = x
        .iter()
        .map(|x| match x.elements {
            Elements::Float(x) => Some(x.iter().map(|x| x.abs()).collect()),
            _ => None,
        })
        .collect();
    let x: Vec<In<f64>> = x
        .iter()
        .zip(&absolute)
        .map(|(x, a)| a.as_deref().map_or(*x, |a| In { shape: x.shape, elements: Elements::Float(a) }))
        .collect();
    op.reference_f64(&x, y);
}

/// How far single precision may stray from the oracle: `u · (ulps + 6·√terms) · magnitude`.
///
/// `terms` counts the summed terms; the square root with the factor 6 is the probabilistic bound of
/// Higham and Mary (2019) at a failure probability below 1e-7 an element, u = 2⁻²⁴. `ulps` pays for
/// the other roundings, built-in functions included, at the accuracy that WGSL states for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    /// Number of terms of the longest sum for one output element.
    pub terms: usize,
    /// Further roundings, in units of the magnitude's last place.
    pub ulps: f64,
}

impl Rounding {
    /// Nothing is rounded: results agree to the bit.
    pub const EXACT: Rounding = Rounding { terms: 0, ulps: 0.0 };

    /// The tolerance for an element whose summed magnitudes are `magnitude`.
    pub fn tolerance(&self, magnitude: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) / 2.0;
        unit * (self.ulps + 6.0 * (self.terms as f64).sqrt()) * magnitude
    }
}

/// The arguments of an op's `backward`.
pub struct Backward<'a> {
    /// The arguments of the op.
    pub x: &'a [Tensor],
    /// Its results.
    pub y: &'a [Tensor],
    /// The gradient of the loss with respect to each result; `None` if nothing flowed back, or,
    /// for the loss itself, where it is one.
    pub dy: &'a [Option<Tensor>],
    /// Which arguments want a gradient.
    pub wants: &'a [bool],
}

/// One operation: shapes, gradient, launch geometry and arithmetic.
///
/// An op stands in three places: its shaders, its file in `ops/`, its line in `ops/mod.rs`.
pub trait Op: Any + Debug + Send + Sync + RunReference {
    /// The name, equal to the stem of the op's file.
    fn name(&self) -> &'static str;

    /// The results for these arguments, or a sentence that says why the shapes do not fit.
    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String>;

    /// Adds the ops that compute the gradient of each wanted argument.
    fn backward(&self, graph: &mut Graph, at: &Backward) -> Result<Vec<Option<Tensor>>>;

    /// Launches the kernels.
    fn lower(&self, cx: &mut Lower) -> Result<()>;

    /// The rounding of one output, given the arguments.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding;

    /// The magnitude that the tolerance of each output element scales with. The default runs the
    /// formula on absolute values, which for sums of products is the sum of their magnitudes.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        run_on_magnitudes(self, x, y);
    }

    /// Which words of a result hold the bits of floats, and are compared as such.
    fn float_words(&self, _result: usize) -> std::ops::Range<usize> {
        0..0
    }

    /// The fast form for the native CPU. The default is the reference in single precision.
    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        self.reference_f32(x, y);
    }

    /// Multiplications and additions of an op that is sums of products; 0 for all others.
    fn flops(&self, _x: &[&TensorInfo]) -> u64 {
        0
    }

    /// Whether the results live in the first argument's memory (a reshape).
    fn is_view(&self) -> bool {
        false
    }

    /// Whether each result element depends on the argument element at the same place alone, so that the
    /// op does not care in which order a tensor is stored.
    fn is_elementwise(&self) -> bool {
        false
    }
}
