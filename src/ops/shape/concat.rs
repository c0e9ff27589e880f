//! Two tensors side by side along their last axis: channels of images, or features.

use crate::ops::prelude::*;
use crate::ops::shape::slice::Slice;

kernels! {
    CONCAT = "shape/concat",
}

/// `y[r, :] = (a[r, :], b[r, :])`: a [.., A] and b [.., B] become [.., A + B].
#[derive(Clone, Copy, Debug)]
pub struct Concat;

/// The size of the last axis, and the others.
pub(in crate::ops) fn last_axis(info: &TensorInfo) -> Result<(usize, &[usize]), String> {
    match info.shape.0.split_last() {
        Some((&last, rows)) if info.elements() > 0 => Ok((last, rows)),
        _ => Err(format!("{} has no elements or no axis", info.name)),
    }
}

impl Reference for Concat {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [a, b] = [x[0], x[1]].map(|x| (x.floats(), x.shape.last().copied().unwrap_or(1)));
        y[0].floats().par_chunks_mut(a.1 + b.1).enumerate().for_each(|(row, y)| {
            y[..a.1].copy_from_slice(&a.0[row * a.1..][..a.1]);
            y[a.1..].copy_from_slice(&b.0[row * b.1..][..b.1]);
        });
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b] = arguments(x)?;
        let ((a, rows), (b, other)) = (last_axis(a)?, last_axis(b)?);
        if rows != other {
            return Err("both sides must have one shape, but for the last axis".into());
        }
        Ok(vec![TensorInfo::floats("concat", Shape([rows, &[a + b]].concat()))])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None, None]) };
        let mut offset = 0;
        let mut grads = Vec::new();
        for (side, wanted) in [0, 1].map(|side| (side, at.wants[side])) {
            let columns = graph.shape(at.x[side]).last().copied().unwrap_or(1);
            grads.push(match wanted {
                true => Some(graph.apply(Slice { offset, columns }, &[dy])?[0]),
                false => None,
            });
            offset += columns;
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let elements = cx.elements(cx.y[0]);
        let [a, b] = [0, 1].map(|side| cx.shape(cx.x[side]).last().copied().unwrap_or(1));
        let launch = cx.kernel(CONCAT, &[])?.sizes(&[("elements", elements), ("left", a), ("right", b)]);
        let launch = launch.bind("a", cx.x[0]).bind("b", cx.x[1]).bind("y", cx.y[0]);
        cx.invocations(launch, elements.div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |rows: &[usize], a: usize, b: usize| {
        Case::new(Concat).random(Shape([rows, &[a]].concat())).random(Shape([rows, &[b]].concat()))
    };
    // 3 · 5,592,407 elements need more than 65,535 workgroups of 64 vectors.
    vec![
        case(&[1], 1, 1),
        case(&[3, 5, 2], 3, 4),
        case(&[2, 7, 5], 8, 16),
        case(&[7], 1, 31),
        case(&[67, 3], 5, 2),
        case(&[5_592_407], 1, 2),
    ]
}
