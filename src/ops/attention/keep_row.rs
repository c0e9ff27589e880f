//! Keeps the keys and values of a step of generation for the steps after it.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    KEEP_ROW = "attention/keep_row",
}

/// `kept[b, step, c] = x[b, first + c]`. The arguments are the control block and x [B, 1, width]; updated in place is what is kept
/// [B, T, C]. Steps from T on change nothing.
#[derive(Clone, Copy, Debug)]
pub struct KeepRow {
    /// The first of the numbers of x that are kept.
    pub first: usize,
    /// C, how many of them are.
    pub columns: usize,
    /// T, places of a text.
    pub places: usize,
}

impl Reference for KeepRow {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let step = Control::read(x[0].words()).step as usize;
        let (KeepRow { first, columns, places }, [_, _, width]) = (*self, x[1].axes());
        if step < places {
            let rows = y[0].floats().chunks_mut(places * columns).zip(x[1].floats().chunks(width));
            for (kept, x) in rows {
                kept[step * columns..][..columns].copy_from_slice(&x[first..][..columns]);
            }
        }
    }
}

impl Op for KeepRow {
    fn name(&self) -> &'static str {
        "keep_row"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, x] = arguments(x)?;
        let ([batch, one, width], KeepRow { first, columns, places }) = (axes(x)?, *self);
        if one != 1 || first + columns > width {
            return Err(format!("found {}, expected [B, 1, width] with {columns} numbers from {first} on", x.shape));
        }
        Ok(vec![TensorInfo::floats("kept", [batch, places, columns])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([batch, _, width], KeepRow { first, columns, places }) = (cx.axes(cx.x[1])?, *self);
        let sizes = [("count", batch * columns), ("width", width), ("places", places), ("columns", columns)];
        let launch = cx.kernel(KEEP_ROW, &[])?.sizes(&sizes).size("first", first);
        let launch = launch.bind("control", cx.x[0]).bind("x", cx.x[1]).bind("kept", cx.y[0]);
        cx.invocations(launch, batch * columns)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[batch, places, columns, width, first]: [usize; 5], step| {
        let control = Control { step, ..Control::default() };
        let case = Case::new(KeepRow { first, columns, places })
            .words([Control::WORDS], control.words())
            .random([batch, 1, width]);
        case.random([batch, places, columns]).in_place()
    };
    vec![case([1, 1, 1, 1, 0], 0), case([2, 5, 6, 9, 3], 3), case([3, 4, 70, 96, 20], 0), case([2, 3, 4, 6, 2], 3)]
}
