//! A bias that a product may have or not, as its last argument.

use crate::ops::pointwise::then::Then;
use crate::ops::prelude::*;

/// The arguments of a product of two tensors without its bias, and the bias.
pub(in crate::ops) fn split_bias<'a, 'b>(x: &'b [&'a TensorInfo]) -> (&'b [&'a TensorInfo], Option<&'a TensorInfo>) {
    match x {
        [_, _, bias] => (&x[..2], Some(*bias)),
        _ => (x, None),
    }
}

/// Holds a bias to the number of outputs that it is for.
pub(in crate::ops) fn check_bias(bias: Option<&TensorInfo>, outputs: usize) -> Result<(), String> {
    match bias {
        Some(bias) if axes(bias)? != [outputs] => {
            Err(format!("found a bias of {} for {outputs} outputs, expected one of [{outputs}]", bias.shape))
        }
        _ => Ok(()),
    }
}

/// Adds a bias to rows of `outputs` sums, and applies the activation after it.
pub(in crate::ops) fn finish_rows(y: &mut [f32], bias: Option<&[f32]>, outputs: usize, then: Then) {
    if bias.is_none() && then == Then::Nothing {
        return;
    }
    y.par_chunks_mut(outputs).for_each(|row| {
        if let Some(bias) = bias {
            row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
        match then {
            Then::Relu => row.iter_mut().for_each(|y| *y = y.max(0.0)),
            then => then.apply(row),
        }
    });
}
