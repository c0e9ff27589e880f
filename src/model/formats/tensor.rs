//! A tensor on its way to or from a file.

/// A tensor as the weight file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its name, such as `0.weight`.
    pub name: String,
    /// Its sizes in the file.
    pub shape: Vec<usize>,
    /// Its elements, row-major in that shape.
    pub values: Vec<f32>,
}
