//! The control block: small values that change from step to step, stored on the device.

use bytemuck::{Pod, Zeroable};

/// The block as the kernels see it (WGSL `struct Control`; a test holds the two to each other).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Control {
    /// The key of all random numbers, from the seed.
    pub key: u32,
    /// Steps done since the start of the run.
    pub step: u32,
    /// Epochs done.
    pub epoch: u32,
    /// The place in the epoch's order of this batch's first sample.
    pub first: u32,
    /// Samples in this batch; the rows beyond it give no loss and no gradient.
    pub valid: u32,
    /// Samples in an epoch.
    pub samples: u32,
    /// The learning rate.
    pub rate: f32,
    /// Adam's 1 - β₁ᵗ for this step's t.
    pub correction1: f32,
    /// Adam's 1 - β₂ᵗ for this step's t.
    pub correction2: f32,
    /// Of the update under way, the weights of the losses in the batches before this one; 0 where all losses weigh the same.
    pub weight: f32,
    /// Unused, so that the block is whole vectors of four words.
    pub reserved: [u32; 2],
}

impl Control {
    /// The number of words.
    pub const WORDS: usize = size_of::<Control>() / 4;

    /// The block in a tensor of words.
    pub fn read(words: &[u32]) -> Control {
        let mut control = Control::default();
        bytemuck::bytes_of_mut(&mut control).copy_from_slice(bytemuck::cast_slice(&words[..Self::WORDS]));
        control
    }

    /// The block at a step (from 0) of a run in batches of this size; rates, corrections and weight are as they are here.
    pub fn at(&self, step: u64, batch: usize) -> Control {
        let samples = u64::from(self.samples);
        let per_epoch = samples.div_ceil(batch.max(1) as u64).max(1);
        let first = step % per_epoch * batch as u64;
        let valid = (samples - first).min(batch as u64) as u32;
        Control { step: step as u32, epoch: (step / per_epoch) as u32, first: first as u32, valid, ..*self }
    }

    /// Updates before this batch, where each is made of `every` batches of `batch` samples, the last of an epoch of what
    /// is left.
    pub fn updates(&self, batch: u32, every: u32) -> u32 {
        match every {
            1 => self.step,
            _ => self.epoch * self.samples.div_ceil(batch).div_ceil(every) + self.first / batch / every,
        }
    }

    /// Whether this batch is the last of an update's.
    pub fn ends_update(&self, batch: u32, every: u32) -> bool {
        (self.first / batch + 1).is_multiple_of(every) || self.first + self.valid >= self.samples
    }

    /// The block as words.
    pub fn words(&self) -> Vec<u32> {
        bytemuck::cast_slice(bytemuck::bytes_of(self)).to_vec()
    }
}

/// The PCG hash of one word (Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020).
pub fn pcg(v: u32) -> u32 {
    let s = v.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let t = ((s >> ((s >> 28) + 4)) ^ s).wrapping_mul(277_803_737);
    (t >> 22) ^ t
}

/// The sample at place `i` of an epoch's order: a permutation of `0..samples` keyed by (key, epoch).
///
/// Four rounds of an odd multiplication, an addition and a xor-shift, each a bijection of the words
/// below the next power of two; places that fall outside are sent through again (cycle walking).
pub fn shuffled(i: u32, samples: u32, key: u32, epoch: u32) -> u32 {
    let bits = 32 - (samples.max(2) - 1).leading_zeros();
    let mask = u32::MAX >> (32 - bits);
    let salt = pcg(key ^ pcg(epoch));
    let mut x = i;
    loop {
        for round in 0..4 {
            let multiplier = pcg(salt.wrapping_add(2 * round)) | 1;
            x = x.wrapping_mul(multiplier).wrapping_add(pcg(salt.wrapping_add(2 * round + 1))) & mask;
            x ^= x >> bits.div_ceil(2);
        }
        if x < samples {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_a_permutation_of_its_own() {
        let mut orders = std::collections::HashSet::new();
        for samples in [1, 2, 3, 5, 64, 65, 1000, 60_000] {
            for (key, epoch) in [(0, 0), (0, 1), (1, 0), (77, 12)] {
                let order: Vec<u32> = (0..samples).map(|i| shuffled(i, samples, key, epoch)).collect();
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert!(sorted.iter().copied().eq(0..samples), "{samples} {key} {epoch}");
                assert!(samples < 64 || orders.insert(order), "an order came twice: {samples} {key} {epoch}");
            }
        }
    }

    /// Neighbours in the order should be as far apart as chance puts them: n/3 on average.
    #[test]
    fn the_order_has_no_runs() {
        let n = 60_000u32;
        let order: Vec<u32> = (0..n).map(|i| shuffled(i, n, 5, 3)).collect();
        let gaps: f64 = order.windows(2).map(|w| f64::from(w[0].abs_diff(w[1]))).sum();
        let mean = gaps / f64::from(n - 1) / f64::from(n);
        // The deviation of |u - v| is 0.236; of the mean over 60,000 (weakly dependent) pairs below 0.002.
        assert!((mean - 1.0 / 3.0).abs() < 0.01, "{mean}");
        let ascending = order.windows(2).filter(|w| w[0] < w[1]).count() as f64 / f64::from(n - 1);
        assert!((ascending - 0.5).abs() < 0.02, "{ascending}");
    }
}
