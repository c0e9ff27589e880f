//! Draws the next token of a text from a model's scores.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;
use crate::step::control::{Control, pcg};

kernels! {
    SAMPLE_TOKEN = "sequence/sample_token",
}

/// Invocations of a row, each of which owns a run of tokens.
const RUNS: usize = 256;

/// The token at place `step + 1` of each row, drawn from softmax(logits / temperature) of the most likely tokens, where the
/// prompt has none there ([`IGNORED`]); at temperature 0 the most likely.
///
/// The arguments are the control block and logits [batch, 1, V]; updated in place are tokens [batch, length], the loss
/// -ln p(token) `[batch]`, of the softmax without temperature, and counts `[batch]`, which are 0.
///
/// Of the tokens the `top_k` largest logits are kept with their equals, then of these the fewest of the largest whose
/// probabilities come to `top_p` (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020). The random number of
/// a row follows from the key, the step and the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleToken {
    /// The temperature by which logits are divided, at least 0.
    pub temperature: f32,
    /// How many tokens are kept; 0 for all.
    pub top_k: usize,
    /// The probability that the kept tokens come to; 1 for all.
    pub top_p: f32,
    /// Places of a row.
    pub length: usize,
}

/// Floats in their order as words.
fn ordered<F: Real>(x: F) -> u32 {
    let bits = (x.f64() as f32 + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

impl SampleToken {
    /// The token of a row of logits, for a random number from 0 to 1.
    fn choose<F: Real>(&self, logits: &[F], u: F) -> usize {
        let best = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
        if self.temperature == 0.0 {
            return best;
        }
        let inverse = F::of(f64::from(1.0 / self.temperature));
        let weight = |c: usize| ((logits[c] - logits[best]) * inverse).exp();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by_key(|c| std::cmp::Reverse(ordered(logits[*c])));
        let mut least = 0;
        if (1..logits.len()).contains(&self.top_k) {
            least = ordered(logits[order[self.top_k - 1]]);
        }
        if self.top_p < 1.0 {
            let kept = || order.iter().copied().filter(|c| ordered(logits[*c]) >= least);
            let wanted = F::of(self.top_p.into()) * kept().fold(F::of(0.0), |sum, c| sum + weight(c));
            let mut sum = F::of(0.0);
            let cut = kept().find(|c| {
                sum += weight(*c);
                sum >= wanted
            });
            least = cut.map_or(least, |cut| ordered(logits[cut]));
        }
        let kept = || (0..logits.len()).filter(|c| ordered(logits[*c]) >= least);
        // Run by run, as the kernel adds.
        let part = logits.len().div_ceil(RUNS);
        let mut runs = [F::of(0.0); RUNS];
        kept().for_each(|c| runs[c / part] += weight(c));
        let target = u * runs.iter().fold(F::of(0.0), |sum, run| sum + *run);
        let (mut before, mut at, mut start) = (F::of(0.0), 0, F::of(0.0));
        for (run, sum) in runs.iter().enumerate() {
            if *sum > F::of(0.0) && before <= target {
                (at, start) = (run, before);
            }
            before += *sum;
        }
        let mut token = best;
        for c in kept().filter(|c| c / part == at) {
            (token, start) = (c, start + weight(c));
            if start > target {
                break;
            }
        }
        token
    }
}

impl Reference for SampleToken {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (Control { key, step, .. }, logits) = (Control::read(x[0].words()), x[1].floats());
        let [tokens, loss, correct] = results(y);
        let vocabulary = logits.len() / x[1].shape[0];
        let next = step as usize + 1;
        let rows = tokens.words().chunks_mut(self.length).zip(loss.floats()).zip(logits.chunks(vocabulary));
        for (b, ((tokens, loss), logits)) in rows.enumerate() {
            *loss = F::of(0.0);
            let Some(place) = tokens.get_mut(next).filter(|token| **token == IGNORED) else { continue };
            let drawn = pcg(b as u32 ^ pcg(key ^ pcg(step)));
            let token = self.choose(logits, F::of(f64::from(drawn >> 8) / f64::from(1 << 24)));
            let most = logits.iter().fold(logits[0], |most, x| if *x > most { *x } else { most });
            let sum = logits.iter().fold(F::of(0.0), |sum, x| sum + (*x - most).exp());
            *loss = sum.ln() - (logits[token] - most);
            *place = token as u32;
        }
        correct.words().fill(0);
    }
}

impl Op for SampleToken {
    fn name(&self) -> &'static str {
        "sample_token"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, logits] = arguments(x)?;
        let (rows, classes) = match logits.shape.0[..] {
            [rows, 1, classes] if rows * classes > 0 => (rows, classes),
            _ => return Err(format!("logits {}, expected [batch, 1, tokens]", logits.shape)),
        };
        // Kernels count tokens in single precision.
        if classes > 1 << 24 || rows > 65_535 {
            return Err(format!("{rows} rows of {classes} tokens, expected at most 65535 of {}", 1 << 24));
        }
        let SampleToken { temperature, top_p, length, .. } = *self;
        if !(temperature >= 0.0 && temperature.is_finite() && top_p > 0.0 && top_p <= 1.0 && length > 0) {
            return Err(format!("temperature {temperature}, top p {top_p}, expected 0 or above, and above 0 up to 1"));
        }
        Ok(vec![
            TensorInfo::words("tokens", [rows, length]),
            TensorInfo::floats("loss", [rows]),
            TensorInfo::words("correct", [rows]),
        ])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let rows = cx.elements(cx.y[1]);
        let vocabulary = cx.elements(cx.x[1]) / rows;
        let greedy = self.temperature == 0.0;
        let inverse = if greedy { 1.0 } else { 1.0 / self.temperature };
        let launch = cx.kernel(SAMPLE_TOKEN, &[])?.size("vocabulary", vocabulary).size("length", self.length);
        let launch = launch.size("part", vocabulary.div_ceil(RUNS)).set("inverse_temperature", inverse);
        let launch = launch.set("greedy", greedy).size("top_k", self.top_k).set("top_p", self.top_p);
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("tokens", cx.y[0]);
        cx.groups(launch.bind("loss", cx.y[1]).bind("correct", cx.y[2]), rows)
    }

    /// As the loss of a softmax.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 20.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let most = x[1].floats().iter().fold(0.0f64, |most, x| most.max(x.abs()));
        self.reference(x, y);
        y[1].floats().iter_mut().for_each(|loss| *loss = loss.abs() + 1.0 + most);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch: usize, vocabulary: usize, step: u32, temperature: f32, top_k: usize, top_p: f32| {
        let length = 4;
        let op = SampleToken { temperature, top_k, top_p, length };
        let control = Control { key: 11, step, valid: batch as u32, samples: 1 << 30, ..Control::default() };
        let mut case = Case::new(op).words([Control::WORDS], control.words()).random([batch, 1, vocabulary]);
        if let crate::ir::values::Values::Float(logits) = &mut case.x[1].1 {
            logits.iter_mut().for_each(|x| *x *= 5.0);
        }
        // Every third row has a prompt of all places.
        let token = |at: usize| {
            if at.is_multiple_of(length) || at / length % 3 == 2 { (at % vocabulary) as u32 } else { IGNORED }
        };
        let case = case.words([batch, length], (0..batch * length).map(token).collect()).in_place();
        let case = case.floats([batch], vec![9.0; batch]).in_place();
        case.words([batch], vec![9; batch]).in_place()
    };
    vec![
        case(1, 2, 0, 1.0, 0, 1.0),
        case(7, 65, 0, 0.0, 0, 1.0),
        case(7, 65, 1, 0.8, 5, 1.0),
        case(5, 65, 2, 1.0, 0, 0.9),
        case(5, 700, 0, 1.5, 40, 0.7),
        case(4, 300, 3, 1.0, 0, 1.0),
        case(2, 70_001, 0, 0.8, 50, 0.9),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each share of random numbers goes to its token, and the unlikely ones to none.
    #[test]
    fn tokens_are_drawn_by_their_probabilities() {
        let logits = [0.0f64, 3.0f64.ln(), 6.0f64.ln(), f64::NEG_INFINITY];
        let drawn = |op: SampleToken| {
            let mut counts = [0; 4];
            (0..1000).for_each(|i| counts[op.choose(&logits, (f64::from(i) + 0.5) / 1000.0)] += 1);
            counts
        };
        let plain = SampleToken { temperature: 1.0, top_k: 0, top_p: 1.0, length: 2 };
        assert_eq!(drawn(plain), [100, 300, 600, 0]);
        assert_eq!(drawn(SampleToken { top_k: 2, ..plain }), [0, 333, 667, 0]);
        assert_eq!(drawn(SampleToken { top_p: 0.59, ..plain }), [0, 0, 1000, 0]);
        assert_eq!(drawn(SampleToken { top_p: 0.61, ..plain }), [0, 333, 667, 0]);
        assert_eq!(drawn(SampleToken { temperature: 0.0, ..plain }), [0, 0, 1000, 0]);
        assert_eq!(drawn(SampleToken { temperature: 0.5, ..plain }), [22, 195, 783, 0], "1 : 9 : 36");
        assert_eq!(plain.choose(&logits, 1.0), 2, "the last that may be drawn");
    }
}
