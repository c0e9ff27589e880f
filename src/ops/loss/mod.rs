//! Losses, and the metrics of their answers.

use super::Entry;

pub mod argmax;
pub mod class_scale;
pub mod dice;
pub mod dice_sums;
pub mod each;
pub mod log_sum_exp;
pub mod one_hot_loss;
pub mod sample_sum;
pub mod scale_rows;
pub mod softmax_ce;
mod softmax_fast;
pub mod target_loss;

/// The parameter `U` of kernels in which an invocation owns a row of classes: how many it takes in a round of a loop. One, but
/// for many classes: llvmpipe leaves a shader's loops after 65,535 rounds in all, and says nothing of it.
fn round(classes: usize) -> [(&'static str, i64); 1] {
    [("U", if classes > 4096 { 8 } else { 1 })]
}

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(argmax),
    entry!(class_scale),
    entry!(dice),
    entry!(dice_sums),
    entry!(log_sum_exp),
    entry!(one_hot_loss),
    entry!(sample_sum),
    entry!(scale_rows),
    entry!(softmax_ce),
    entry!(target_loss),
];
