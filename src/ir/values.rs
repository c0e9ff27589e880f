//! The elements of a tensor on the host.

use crate::ir::graph::DType;
use crate::ir::op::{Elements, In, Out, Real};

/// Elements of one of the three types; the floats are `f64` where they belong to the oracle.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<F = f32> {
    /// Floats.
    Float(Vec<F>),
    /// Words.
    Word(Vec<u32>),
    /// Bytes.
    Byte(Vec<u8>),
}

impl<F: Real> Values<F> {
    /// Zeros of an element type.
    pub fn zeros(dtype: DType, elements: usize) -> Self {
        match dtype {
            DType::F32 => Values::Float(vec![F::of(0.0); elements]),
            DType::U32 => Values::Word(vec![0; elements]),
            DType::U8 => Values::Byte(vec![0; elements]),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Values::Float(x) => x.len(),
            Values::Word(x) => x.len(),
            Values::Byte(x) => x.len(),
        }
    }

    /// The memory that its elements take, in bytes.
    pub fn size(&self) -> u64 {
        (match self {
            Values::Float(x) => size_of_val(&x[..]),
            Values::Word(x) => size_of_val(&x[..]),
            Values::Byte(x) => x.len(),
        }) as u64
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements from `offset` on as an argument of the sizes `shape`.
    pub fn arg<'a>(&'a self, offset: usize, shape: &'a [usize]) -> In<'a, F> {
        let range = offset..offset + shape.iter().product::<usize>();
        let elements = match self {
            Values::Float(x) => Elements::Float(&x[range]),
            Values::Word(x) => Elements::Word(&x[range]),
            Values::Byte(x) => Elements::Byte(&x[range]),
        };
        In { shape, elements }
    }

    /// This tensor as a result; bytes are never one.
    pub fn result(&mut self) -> Out<'_, F> {
        match self {
            Values::Float(x) => Out::Float(x),
            Values::Word(x) => Out::Word(x),
            Values::Byte(_) => Out::Word(&mut []),
        }
    }

    /// The same elements with another float type.
    pub fn convert<G: Real>(&self) -> Values<G> {
        match self {
            Values::Float(x) => Values::Float(x.iter().map(|x| G::of(x.f64())).collect()),
            Values::Word(x) => Values::Word(x.clone()),
            Values::Byte(x) => Values::Byte(x.clone()),
        }
    }
}

impl Values {
    /// The memory, as a device sees it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Values::Float(x) => bytemuck::cast_slice(x),
            Values::Word(x) => bytemuck::cast_slice(x),
            Values::Byte(x) => x,
        }
    }

    /// A device's memory as elements of `dtype`.
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Self {
        match dtype {
            DType::F32 => Values::Float(bytemuck::pod_collect_to_vec(bytes)),
            DType::U32 => Values::Word(bytemuck::pod_collect_to_vec(bytes)),
            DType::U8 => Values::Byte(bytes.to_vec()),
        }
    }
}
