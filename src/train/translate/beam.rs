//! The translations of one text that a beam search keeps.

/// Translations that are being written, and those that have ended.
#[derive(Clone, Debug)]
pub(super) struct Beam {
    width: usize,
    begin: u32,
    end: u32,
    most: usize,
    // Tokens so far, and the sum of the logarithms of their probabilities.
    live: Vec<(Vec<u32>, f64)>,
    // Tokens without the end, and the mean with it.
    ended: Vec<(Vec<u32>, f64)>,
}

impl Beam {
    /// Of one text, of which `width` translations of at most `most` tokens are kept.
    pub(super) fn new(width: usize, begin: u32, end: u32, most: usize) -> Beam {
        Beam { width, begin, end, most, live: vec![(Vec::new(), 0.0)], ended: Vec::new() }
    }

    /// Whether as many have ended as are kept, or none is left that could.
    pub(super) fn is_done(&self) -> bool {
        self.live.is_empty() || self.ended.len() >= self.width
    }

    /// Goes on by one token, by the logits of each row, [width, tokens]; for each row from now on, the row that it goes on from
    /// and its tokens.
    pub(super) fn step(&mut self, logits: &[f32]) -> Vec<(usize, Vec<u32>)> {
        let vocabulary = logits.len() / self.width;
        let mut found: Vec<(f64, usize, u32)> = Vec::new();
        for (row, ((_, sum), logits)) in self.live.iter().zip(logits.chunks(vocabulary)).enumerate() {
            let most = logits.iter().copied().fold(f32::MIN, f32::max);
            let all = logits.iter().map(|x| f64::from(x - most).exp()).sum::<f64>().ln();
            let mut each: Vec<(f64, usize, u32)> =
                logits.iter().zip(0..).map(|(x, token)| (sum + f64::from(x - most) - all, row, token)).collect();
            each.retain(|(_, _, token)| *token != self.begin);
            // Of one row no more than this can stay.
            let kept = each.len().min(2 * self.width);
            if kept < each.len() {
                each.select_nth_unstable_by(kept, order);
            }
            found.extend(&each[..kept]);
        }
        found.sort_by(order);
        let mut live = Vec::with_capacity(self.width);
        let mut rows = Vec::with_capacity(self.width);
        for (rank, (sum, row, token)) in found.into_iter().enumerate() {
            let (before, _) = &self.live[row];
            if token == self.end {
                if rank < self.width {
                    self.ended.push((before.clone(), sum / (before.len() + 1) as f64));
                }
                continue;
            }
            let tokens = [&before[..], &[token]].concat();
            live.push((tokens.clone(), sum));
            rows.push((row, tokens));
            if live.len() == self.width {
                break;
            }
        }
        self.live = live;
        if self.live.first().is_some_and(|(tokens, _)| tokens.len() >= self.most) {
            let cut = self.live.drain(..).map(|(tokens, sum)| {
                let mean = sum / tokens.len() as f64;
                (tokens, mean)
            });
            self.ended.extend(cut);
        }
        rows
    }

    /// The best, and its mean.
    pub(super) fn best(self) -> (Vec<u32>, Option<f64>) {
        let live = self.live.into_iter().map(|(tokens, sum)| {
            let mean = sum / tokens.len().max(1) as f64;
            (tokens, mean)
        });
        let all = if self.ended.is_empty() { live.collect() } else { self.ended };
        let best = all.into_iter().reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.map_or((Vec::new(), None), |(tokens, mean)| (tokens, Some(mean)))
    }
}

/// The likelier first; of equals the earlier row, and the lower token.
fn order(a: &(f64, usize, u32), b: &(f64, usize, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of a row whose probabilities are these.
    fn row(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn the_likeliest_first_token_need_not_begin_the_best_translation() {
        // Tokens a, b, begin, end: a is likelier, but what follows it is not.
        let mut beam = Beam::new(2, 2, 3, 4);
        let first = [row(&[0.5, 0.4, 0.0, 0.1]), row(&[0.0; 4])].concat();
        assert_eq!(beam.step(&first), [(0, vec![0]), (0, vec![1])]);
        let second = [row(&[0.3, 0.3, 0.0, 0.4]), row(&[0.0, 0.1, 0.0, 0.9])].concat();
        beam.step(&second);
        assert!(beam.is_done());
        let (tokens, mean) = beam.best();
        assert_eq!(tokens, [1]);
        assert!((mean.unwrap() - (0.4f64.ln() + 0.9f64.ln()) / 2.0).abs() <= 1e-6);
    }

    #[test]
    fn what_does_not_end_is_cut() {
        let mut beam = Beam::new(2, 2, 3, 2);
        let logits = [row(&[0.7, 0.3, 0.0, 0.0]), row(&[0.7, 0.3, 0.0, 0.0])].concat();
        beam.step(&logits);
        beam.step(&logits);
        assert!(beam.is_done());
        assert_eq!(beam.best().0, [0, 0]);
    }
}
