//! Zero padding after rows and columns: lets convolutions with odd numbers of channels use the lanes forms, which read
//! four channels at a time.

use crate::ops::conv::conv2d::CONV2D_PAD;
use crate::ops::conv::geometry::Geometry;
use crate::ops::prelude::*;

/// `t` [outer, rows, columns] with zeros appended, rows and columns unchanged or padded to a multiple of four, as
/// [outer, `to`]: a copy that later ops share, or `t` where nothing is added.
pub(in crate::ops) fn padded(cx: &mut Lower, t: Tensor, from: [usize; 3], to: [usize; 2]) -> crate::Result<Tensor> {
    let name = match (from[1] == to[0], from[2] == to[1]) {
        (true, true) => return Ok(t),
        (true, false) => "padded columns",
        (false, true) => "padded rows",
        (false, false) => "padded",
    };
    cx.derived(t, name, |cx| {
        let y = cx.scratch(from[0] * to[0] * to[1]);
        copy(cx, t, from, y, to)?;
        Ok(y)
    })
}

/// A convolution's x and weights, and its bias if it has one.
pub(in crate::ops) type Arguments = ([Tensor; 2], Option<Tensor>);

/// An op's arguments, padded from one convolution's sizes to another's.
pub(in crate::ops) fn arguments(
    cx: &mut Lower,
    x: &[Tensor],
    g: &Geometry,
    even: &Geometry,
) -> crate::Result<Arguments> {
    let pixels = padded(cx, x[0], [g.n * g.h * g.w, 1, g.c], [1, even.c])?;
    let weights = padded(cx, x[1], [g.kh * g.kw, g.c, g.o], [even.c, even.o])?;
    let bias = x.get(2).map(|&bias| padded(cx, bias, [1, 1, g.o], [1, even.o])).transpose()?;
    Ok(([pixels, weights], bias))
}

/// Tensors of one number for each output channel, padded as a bias is.
pub(in crate::ops) fn channels<const N: usize>(
    cx: &mut Lower,
    mut of: [Tensor; N],
    g: &Geometry,
    even: &Geometry,
) -> crate::Result<[Tensor; N]> {
    for t in &mut of {
        *t = padded(cx, *t, [1, 1, g.o], [1, even.o])?;
    }
    Ok(of)
}

/// What `of` computes as [outer, `from`], the rows and columns beyond `to` left out, into y [outer, `to`].
pub(in crate::ops) fn cropped(
    cx: &mut Lower,
    y: Tensor,
    [outer, rows, columns]: [usize; 3],
    to: [usize; 2],
    of: impl FnOnce(&mut Lower, Tensor) -> crate::Result<()>,
) -> crate::Result<()> {
    if [rows, columns] == to {
        return of(cx, y);
    }
    let whole = cx.scratch(outer * rows * columns);
    of(cx, whole)?;
    copy(cx, whole, [outer, rows, columns], y, to)
}

fn copy(cx: &mut Lower, x: Tensor, [outer, rows, columns]: [usize; 3], y: Tensor, to: [usize; 2]) -> crate::Result<()> {
    let elements = outer * to[0] * to[1];
    let launch = cx.kernel(CONV2D_PAD, &[])?.sizes(&[("elements", elements), ("rows", rows), ("columns", columns)]);
    let launch = launch.size("to_rows", to[0]).size("to_columns", to[1]);
    cx.invocations(launch.bind("x", x).bind("y", y), elements.div_ceil(4))
}
