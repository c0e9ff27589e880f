//! Keeps the keys and values of tokens for the steps after them.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    KEEP_ROWS = "attention/keep_rows",
}

/// `kept[b, step + t, c] = x[b, t, first + c]`. The arguments are the control block and x [B, rows, width]; updated in place is what
/// is kept [B, T, C]. Rows from T on are left out.
#[derive(Clone, Copy, Debug)]
pub struct KeepRows {
    /// The first of the numbers of x that are kept.
    pub first: usize,
    /// C, how many of them are.
    pub columns: usize,
    /// T, places of a text.
    pub places: usize,
}

impl Reference for KeepRows {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let step = Control::read(x[0].words()).step as usize;
        let (KeepRows { first, columns, places }, [_, rows, width]) = (*self, x[1].axes());
        for (kept, x) in y[0].floats().chunks_mut(places * columns).zip(x[1].floats().chunks(rows * width)) {
            for (kept, x) in kept.chunks_mut(columns).skip(step).zip(x.chunks(width)) {
                kept.copy_from_slice(&x[first..][..columns]);
            }
        }
    }
}

impl Op for KeepRows {
    fn name(&self) -> &'static str {
        "keep_rows"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, x] = arguments(x)?;
        let ([batch, _, width], KeepRows { first, columns, places }) = (axes(x)?, *self);
        if first + columns > width {
            return Err(format!("found {}, expected [B, rows, width] with {columns} numbers from {first} on", x.shape));
        }
        Ok(vec![TensorInfo::floats("kept", [batch, places, columns])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([batch, rows, width], KeepRows { first, columns, places }) = (cx.axes(cx.x[1])?, *self);
        let sizes = [("count", batch * rows * columns), ("rows", rows), ("width", width), ("places", places)];
        let launch = cx.kernel(KEEP_ROWS, &[])?.sizes(&sizes).size("columns", columns).size("first", first);
        let launch = launch.bind("control", cx.x[0]).bind("x", cx.x[1]).bind("kept", cx.y[0]);
        cx.invocations(launch, batch * rows * columns)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[batch, rows, places, columns, width, first]: [usize; 6], step| {
        let control = Control { step, ..Control::default() };
        let case = Case::new(KeepRows { first, columns, places })
            .words([Control::WORDS], control.words())
            .random([batch, rows, width]);
        case.random([batch, places, columns]).in_place()
    };
    // One row and several, at the first step and later; at the end, of several some; beyond it none.
    let one = [case([1, 1, 1, 1, 1, 0], 0), case([2, 1, 5, 6, 9, 3], 3), case([2, 1, 3, 4, 6, 2], 3)];
    let several = [case([3, 4, 4, 70, 96, 20], 0), case([2, 3, 7, 4, 6, 2], 2), case([2, 3, 5, 4, 6, 2], 3)];
    one.into_iter().chain(several).collect()
}
