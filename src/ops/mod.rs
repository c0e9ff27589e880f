//! The registry: one line an op. Its file names its shaders, its arithmetic, its gradient and its cases.

use crate::case::Case;
use crate::kernel::Source;

mod columns;
mod direct;
pub mod geometry;
mod im2col;
mod pad;
mod prelude;
mod splits;
pub mod tiles;

/// One line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The op's name, equal to the stem of its file.
    pub name: &'static str,
    /// Its shader files; a view has none.
    pub kernels: &'static [Source],
    /// Its test cases.
    pub cases: fn() -> Vec<Case>,
}

macro_rules! registry {
    ($($op:ident)*) => {
        $(pub mod $op;)*

        /// Every op.
        pub const ALL: &[Entry] =
            &[$(Entry { name: stringify!($op), kernels: $op::KERNELS, cases: $op::cases }),*];
    };
}

registry! {
    accumulate
    activation
    activation_dx
    adam
    add
    add_bias
    add_bias_db
    argmax
    avg_pool2d
    avg_pool2d_dx
    batch_norm
    batch_norm_dx
    batch_norm_update
    class_scale
    clip_norm
    clip_value
    concat
    conv2d
    conv2d_dw
    conv2d_dx
    conv2d_grouped
    conv2d_grouped_dw
    conv2d_grouped_dx
    conv2d_relu_pool
    conv2d_relu_pool_dw
    conv2d_relu_pool_dx
    dropout
    ema
    gather
    gather_augmented
    gather_labels
    layer_norm
    layer_norm_dx
    lion
    matmul_nn
    matmul_nt
    matmul_tn
    max_pool2d
    max_pool2d_dx
    mixup
    one_hot_loss
    relu
    relu_dx
    reshape
    rmsprop
    sample_sum
    scale_rows
    sgd
    slice
    softmax_ce
    step_end
    transpose
    upsample2d
    upsample2d_dx
    zeros
}
