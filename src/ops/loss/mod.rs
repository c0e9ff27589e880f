//! Losses, and what is told of their answers.

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
pub mod target_loss;

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
