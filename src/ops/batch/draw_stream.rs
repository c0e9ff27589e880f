//! Draws a batch of windows of a stream of tokens, and for each token the one that follows it.

use crate::ir::element::{Element, IGNORED, Read};
use crate::ops::batch::draw::Draw;
use crate::ops::prelude::*;
use crate::step::control::{Control, pcg};

kernels! {
    DRAW_STREAM = "batch/draw_stream",
}

/// `x[b, t] = stream[s(b)·T + t + phase]` and `next[b, t] = stream[s(b)·T + t + phase + 1]`; rows beyond the valid ones are zero.
///
/// Arguments are those of [`Draw`], whose field is a window of T tokens: row s of the stored stream has the tokens from s·T on,
/// and the last row is filled up. Results are the tokens and their targets, [batch, T] each, [`IGNORED`] if there is none:
/// beyond the last token of the stream, after it, and where the vocabulary has no such token.
///
/// In `tracks` the stream is cut into as many equal parts as a batch has rows, and each row reads its own part, window after
/// window: what a recurrence carries from batch to batch goes on with the text. Where the windows do not come to whole batches,
/// the first rows have one window more, which the last batch reads. Such an order is never shuffled.
///
/// Where the order is shuffled, each epoch has a phase of its own from 0 to T - 1: windows begin elsewhere, and the one that
/// leads beyond the end wraps around to the beginning. So every token is a target once per epoch, whatever the phase.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawStream {
    /// Which windows a batch has; `window` is 0.
    pub draw: Draw,
    /// Tokens of the stream, at least one.
    pub tokens: usize,
    /// Whether each row of a batch reads its own part of the stream, in order.
    pub tracks: bool,
}

/// Where the windows of `length` tokens of an epoch begin, where its order is shuffled.
pub(crate) fn phase(key: u32, epoch: u32, length: usize) -> usize {
    pcg(key ^ pcg(!epoch)) as usize % length
}

/// The window at a place of an epoch of tracks: row `place % batch` reads its own part of the `samples` windows.
pub(crate) fn of_track(place: usize, samples: usize, batch: usize) -> usize {
    let (row, each, longer) = (place % batch, samples / batch, samples % batch);
    row * each + row.min(longer) + place / batch
}

impl DrawStream {
    /// The window of row `b`; `None` beyond the valid ones.
    fn window(&self, control: &Control, b: u32) -> Option<usize> {
        if !self.tracks {
            return self.draw.sample(control, b);
        }
        let Control { first, valid, samples, .. } = *control;
        (b < valid).then(|| of_track(first as usize + b as usize, samples as usize, self.draw.batch))
    }

    /// Where an epoch's windows begin within the rows.
    fn phase(&self, control: &Control) -> usize {
        if self.draw.shuffle { phase(control.key, control.epoch, self.draw.elements()) } else { 0 }
    }

    /// The token at a place, if there is one.
    fn token(&self, stored: &[u8], place: usize) -> u32 {
        if place >= self.tokens {
            return IGNORED;
        }
        let (length, stride) = (self.draw.elements(), self.draw.stride());
        let word = self.draw.element.word(&stored[place / length * stride..], place % length);
        if self.draw.ignored == Some(word) { IGNORED } else { word }
    }
}

impl Reference for DrawStream {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (control, stored, length) = (Control::read(x[0].words()), x[1].bytes(), self.draw.elements());
        let (places, phase) = (x[1].shape[0] * length, self.phase(&control));
        let [tokens, next] = results(y);
        let rows = tokens.words().chunks_mut(length).zip(next.words().chunks_mut(length));
        for (b, (tokens, next)) in rows.enumerate() {
            let Some(s) = self.window(&control, b as u32) else {
                tokens.fill(0);
                next.fill(0);
                continue;
            };
            for t in 0..length {
                let place = (s * length + t + phase) % places;
                tokens[t] = self.token(stored, place);
                next[t] = self.token(stored, place + 1);
            }
        }
    }
}

impl Op for DrawStream {
    fn name(&self) -> &'static str {
        "draw_stream"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let Draw { shape, window, read, .. } = &self.draw;
        if shape.len() != 1 || *window > 0 || *read != Read::AsIs {
            return Err(format!("a field of {shape:?}, expected windows of tokens that are all there"));
        }
        if self.tracks && self.draw.shuffle {
            return Err("tracks that are shuffled, expected an order of the stream".into());
        }
        let [_, stored] = arguments(x)?;
        let ([rows, _], length) = (axes(stored)?, shape[0]);
        let most = rows.saturating_mul(length).min(i32::MAX as usize);
        if !(1..=most).contains(&self.tokens) {
            return Err(format!("{} tokens, expected 1 to {most}", self.tokens));
        }
        let [tokens] = <[TensorInfo; 1]>::try_from(self.draw.outputs(x)?).map_err(|_| "one result is expected")?;
        Ok(vec![tokens.clone(), TensorInfo { name: format!("next of {}", stored.name), ..tokens }])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (draw, rows) = (&self.draw, cx.shape(cx.x[1])[0]);
        let launch = cx.kernel(DRAW_STREAM, &[])?.size("batch", draw.batch).size("elements", draw.elements());
        let launch = launch.size("stride", draw.stride()).set("shuffle", draw.shuffle);
        let launch = launch.set("kind", draw.element.number()).size("tokens", self.tokens).size("rows", rows);
        let launch = if let Some(ignored) = draw.ignored { launch.set("ignored", ignored) } else { launch };
        let launch = if self.tracks { launch.set("tracks", 1u32) } else { launch };
        let launch = launch.bind("control", cx.x[0]).bind("stored", cx.x[1]);
        cx.groups(launch.bind("x", cx.y[0]).bind("next", cx.y[1]), draw.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// Windows of `length` tokens of a stream in `element`.
pub(super) fn windows(batch: usize, length: usize, element: Element, ignored: Option<u32>, shuffle: bool) -> Draw {
    Draw { batch, shape: vec![length], element, read: Read::AsIs, ignored, shuffle, window: 0 }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let one = |batch: usize, length: usize, element, tokens: usize, first: u32, epoch: u32, tracks: bool| {
        let (rows, shuffle) = (tokens.div_ceil(length), epoch > 0 && !tracks);
        let valid = (rows as u32 - first).min(batch as u32);
        let control = Control { key: 7, epoch, first, valid, samples: rows as u32, ..Control::default() };
        let draw = windows(batch, length, element, (element == Element::U8).then_some(255), shuffle);
        let stride = draw.stride();
        // Of the tokens one in three is unknown.
        let bytes = (0..rows * stride).map(|at| if at % 3 == 2 { 255 } else { (at * 37 % 251) as u8 });
        Case::new(DrawStream { draw, tokens, tracks })
            .words([Control::WORDS], control.words())
            .stored([rows, stride], bytes)
    };
    let case = |batch, length, element, tokens, first, epoch| one(batch, length, element, tokens, first, epoch, false);
    let tracks = |batch, length, tokens, first| one(batch, length, Element::U8, tokens, first, 2, true);
    use Element::{U8, U16, U32};
    vec![
        tracks(4, 8, 100, 0),
        tracks(4, 8, 100, 12),
        tracks(3, 5, 58, 6),
        tracks(1, 6, 50, 3),
        case(4, 8, U8, 100, 0, 0),
        case(4, 8, U8, 97, 12, 3),
        case(5, 7, U8, 50, 5, 1),
        case(3, 70, U16, 4001, 2, 2),
        case(2, 1, U8, 3, 1, 1),
        case(1, 5, U32, 5, 0, 4),
        case(1, 6, U16, 1, 0, 2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Elements;

    /// Each row goes on where it was in the batch before, and each window is read once.
    #[test]
    fn tracks_read_the_stream_in_order() {
        for (samples, batch) in [(12, 4), (13, 4), (15, 4), (3, 3), (7, 1)] {
            let draw = windows(batch, 2, Element::U8, None, false);
            let op = DrawStream { draw, tokens: 2 * samples, tracks: true };
            let mut tracks = vec![Vec::new(); batch];
            for first in (0..samples).step_by(batch) {
                let valid = batch.min(samples - first) as u32;
                let control = Control { first: first as u32, valid, samples: samples as u32, ..Control::default() };
                for (b, track) in tracks.iter_mut().enumerate() {
                    track.extend(op.window(&control, b as u32));
                }
            }
            let all: Vec<usize> = tracks.concat();
            assert_eq!(all, (0..samples).collect::<Vec<_>>(), "{samples} windows in {batch} tracks: {tracks:?}");
            assert!(tracks.iter().all(|track| samples / batch <= track.len()), "{tracks:?}");
        }
    }

    /// Every token but the first is a target once per epoch, after the token before it.
    #[test]
    fn every_token_is_a_target_once_an_epoch() {
        let (length, tokens) = (5, 23);
        let rows = 23usize.div_ceil(length);
        let draw = windows(rows, length, Element::U8, None, true);
        let (stride, op) = (draw.stride(), DrawStream { draw, tokens, tracks: false });
        let mut stored = vec![99; rows * stride];
        (0..tokens).for_each(|place| stored[place / length * stride + place % length] = place as u8);
        let mut phases = std::collections::BTreeSet::new();
        for epoch in 0..9 {
            let control = Control { key: 3, epoch, valid: rows as u32, samples: rows as u32, ..Control::default() };
            phases.insert(op.phase(&control));
            let (control, mut x, mut next) = (control.words(), vec![7; rows * length], vec![7; rows * length]);
            let arguments: [In<f32>; 2] = [
                In { shape: &[Control::WORDS], elements: Elements::Word(&control) },
                In { shape: &[rows, stride], elements: Elements::Byte(&stored) },
            ];
            op.reference(&arguments, &mut [Out::Word(&mut x), Out::Word(&mut next)]);
            let mut targets: Vec<u32> = next.iter().copied().filter(|token| *token != IGNORED).collect();
            targets.sort_unstable();
            assert_eq!(targets, (1..tokens as u32).collect::<Vec<_>>(), "epoch {epoch}");
            let pairs = x.iter().zip(&next).filter(|(_, next)| **next != IGNORED);
            assert!(pairs.clone().all(|(token, next)| token + 1 == *next), "epoch {epoch}");
        }
        assert!(phases.len() > 2, "{phases:?}");
    }
}
