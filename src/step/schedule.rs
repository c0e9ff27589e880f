//! Learning rates over a run: the rate of a step from its number alone, so that a resumed run has the same.

/// How the learning rate moves between warm-up and the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It is multiplied by `gamma` every N steps (PyTorch's `StepLR`).
    Step {
        /// Steps between two changes.
        every: u32,
        /// The factor.
        gamma: f64,
    },
    /// Half a cosine wave from the base to the least rate at the end of the run (`CosineAnnealingLR`; Loshchilov and Hutter 2017).
    Cosine {
        /// The rate at the end.
        least: f64,
    },
    /// Up to the base along half a wave, and down again to nearly nothing (`OneCycleLR` with momentum left alone; Smith and
    /// Topin 2018).
    OneCycle {
        /// The share of the run in which the rate goes up.
        up: f64,
        /// The divisor of the base at the start.
        start: f64,
        /// The further divisor at the end.
        end: f64,
    },
}

impl Schedule {
    /// One cycle with these settings, or PyTorch's where there are none.
    pub fn one_cycle([up, start, end]: [Option<f64>; 3]) -> Schedule {
        Schedule::OneCycle { up: up.unwrap_or(0.3), start: start.unwrap_or(25.0), end: end.unwrap_or(1e4) }
    }
}

/// The rates of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The rate that the schedule starts from; of one cycle the largest.
    pub base: f64,
    /// How it moves.
    pub schedule: Schedule,
    /// Steps in which the rate first rises linearly to the base; the schedule starts after them.
    pub warmup: u32,
    /// Steps of the whole run.
    pub total: u32,
}

impl Rates {
    /// The same rate for every step.
    pub fn constant(base: f64) -> Rates {
        Rates { base, schedule: Schedule::Constant, warmup: 0, total: 0 }
    }

    /// Whether no step has another rate than the first.
    pub fn is_constant(&self) -> bool {
        self.schedule == Schedule::Constant && self.warmup == 0
    }

    /// The rate of the step that follows `step` others.
    pub fn at(&self, step: u32) -> f64 {
        let Rates { base, warmup, .. } = *self;
        if step < warmup {
            return base * f64::from(step + 1) / f64::from(warmup);
        }
        // Counted from the end of the warm-up.
        let (step, total) = (f64::from(step - warmup), f64::from(self.total.saturating_sub(warmup).max(1)));
        match self.schedule {
            Schedule::Constant => base,
            Schedule::Step { every, gamma } => base * gamma.powf((step / f64::from(every.max(1))).floor()),
            Schedule::Cosine { least } => least + (base - least) * wave(step / total),
            Schedule::OneCycle { up, start, end } => {
                let (top, last, start) = (up * total - 1.0, total - 1.0, base / start);
                match step <= top {
                    true => base + (start - base) * wave(step / top.max(1e-20)),
                    false => start / end + (base - start / end) * wave((step - top) / (last - top)),
                }
            }
        }
    }
}

/// From 1 at 0 to 0 at 1 along a cosine.
fn wave(x: f64) -> f64 {
    (1.0 + (std::f64::consts::PI * x.min(1.0)).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, warmup: u32, total: u32) -> Rates {
        Rates { base: 0.1, schedule, warmup, total }
    }

    /// Values of `torch.optim.lr_scheduler` 2.x at the steps 0, 1, 7, 24 and 49 of 50, base 0.1.
    #[test]
    fn they_are_those_of_pytorch() {
        assert_eq!(Schedule::one_cycle([None; 3]), DEFAULT);
        let table: [(Schedule, [f64; 5]); 3] = TORCH;
        for (schedule, expected) in table {
            for (step, expected) in [0, 1, 7, 24, 49].into_iter().zip(expected) {
                let found = rates(schedule, 0, 50).at(step);
                assert!((found - expected).abs() <= 1e-12 * expected.max(1e-3), "{schedule:?} {step}: {found}");
            }
        }
    }

    /// `OneCycleLR(…, max_lr=0.1, total_steps=50, pct_start=0.2, div_factor=10, final_div_factor=100)` of PyTorch.
    #[test]
    fn a_cycle_has_settings_of_its_own() {
        let schedule = Schedule::OneCycle { up: 0.2, start: 10.0, end: 100.0 };
        let expected = [0.01, 0.012713832064634112, 0.0775, 0.07272682546199037, 1e-4];
        for (step, expected) in [0, 1, 6, 23, 49].into_iter().zip(expected) {
            let found = rates(schedule, 0, 50).at(step);
            assert!((found - expected).abs() <= 1e-12, "{step}: {found}");
        }
    }

    /// nanoGPT's decay to a tenth: 1e-4 + 9e-4 · (1 + cos(π · 24 / 50)) / 2 after 24 of 50 steps.
    #[test]
    fn a_cosine_ends_at_the_least_rate() {
        let found =
            |step| Rates { base: 1e-3, schedule: Schedule::Cosine { least: 1e-4 }, warmup: 0, total: 50 }.at(step);
        for (step, expected) in [(0, 1e-3), (24, 5.782557337881708e-4), (25, 5.5e-4), (50, 1e-4), (99, 1e-4)] {
            assert!((found(step) - expected).abs() <= 1e-15, "{step}: {}", found(step));
        }
    }

    const DEFAULT: Schedule = Schedule::OneCycle { up: 0.3, start: 25.0, end: 1e4 };

    const TORCH: [(Schedule, [f64; 5]); 3] = [
        (Schedule::Step { every: 7, gamma: 0.5 }, [0.1, 0.1, 0.05, 0.0125, 0.00078125]),
        (
            Schedule::Cosine { least: 0.0 },
            [0.1, 0.09990133642141358, 0.09524135262330098, 0.053139525976465665, 9.866357858642205e-05],
        ),
        (DEFAULT, [0.0040000000000000036, 0.0052034602152724735, 0.052000000000000005, 0.0811745653949763, 4e-07]),
    ];

    #[test]
    fn warm_up_rises_evenly_to_the_base() {
        let found: Vec<f64> = (0..6).map(|step| rates(Schedule::Constant, 4, 50).at(step)).collect();
        for (found, expected) in found.iter().zip([0.025, 0.05, 0.075, 0.1, 0.1, 0.1]) {
            assert!((found - expected).abs() < 1e-15, "{found}");
        }
        assert_eq!(
            rates(Schedule::Cosine { least: 0.0 }, 4, 54).at(4 + 24),
            rates(Schedule::Cosine { least: 0.0 }, 0, 50).at(24)
        );
    }

    #[test]
    fn no_length_of_a_run_gives_anything_but_a_rate() {
        for schedule in [
            Schedule::Constant,
            Schedule::Step { every: 3, gamma: 0.5 },
            Schedule::Cosine { least: 0.0 },
            Schedule::one_cycle([None; 3]),
            Schedule::OneCycle { up: 0.0, start: 1.0, end: 1.0 },
            Schedule::OneCycle { up: 1.0, start: 3.0, end: 2.0 },
        ] {
            for (total, warmup) in [(1, 0), (2, 0), (3, 0), (4, 4), (5, 9), (10, 3), (u32::MAX, 0)] {
                for step in [0, 1, 2, 3, 4, 5, 10, 11, u32::MAX] {
                    let found = rates(schedule, warmup, total).at(step);
                    assert!((0.0..=0.1 + 1e-9).contains(&found), "{schedule:?} {total} {warmup} {step}: {found}");
                }
            }
        }
    }
}
