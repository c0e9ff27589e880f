//! Elements of GGUF's tensors as single precision: floats, halves, and blocks of 32 with a scale.

use half::f16;

/// A type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    /// 32 values: a scale, and the nibbles less 8.
    Q4_0,
    /// A scale, the least, and the nibbles.
    Q4_1,
    /// A scale, and bytes with a sign.
    Q8_0,
}

/// Values of a block.
const BLOCK: usize = 32;

impl Kind {
    pub(super) fn of(number: u32) -> Option<Kind> {
        match number {
            0 => Some(Kind::F32),
            1 => Some(Kind::F16),
            2 => Some(Kind::Q4_0),
            3 => Some(Kind::Q4_1),
            8 => Some(Kind::Q8_0),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::F32 => "F32",
            Kind::F16 => "F16",
            Kind::Q4_0 => "Q4_0",
            Kind::Q4_1 => "Q4_1",
            Kind::Q8_0 => "Q8_0",
        }
    }

    /// Values of a block, and its bytes.
    fn block(self) -> (usize, usize) {
        match self {
            Kind::F32 => (1, 4),
            Kind::F16 => (1, 2),
            Kind::Q4_0 => (BLOCK, 2 + BLOCK / 2),
            Kind::Q4_1 => (BLOCK, 4 + BLOCK / 2),
            Kind::Q8_0 => (BLOCK, 2 + BLOCK),
        }
    }

    /// Bytes of this many values; none where they are no whole blocks.
    pub(super) fn bytes(self, values: u64) -> Option<u64> {
        let (each, bytes) = self.block();
        values.is_multiple_of(each as u64).then(|| (values / each as u64).checked_mul(bytes as u64))?
    }

    /// The values of whole blocks.
    pub(super) fn values(self, bytes: &[u8]) -> Vec<f32> {
        let half = |bytes: &[u8], at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32();
        let nibbles = |bytes: &[u8], of: &dyn Fn(u8) -> f32| -> Vec<f32> {
            let low = bytes.iter().map(|byte| of(byte & 15));
            low.chain(bytes.iter().map(|byte| of(byte >> 4))).collect()
        };
        let of_block = |block: &[u8]| -> Vec<f32> {
            match self {
                Kind::F32 => vec![f32::from_le_bytes([block[0], block[1], block[2], block[3]])],
                Kind::F16 => vec![half(block, 0)],
                Kind::Q4_0 => nibbles(&block[2..], &|n| half(block, 0) * (f32::from(n) - 8.0)),
                Kind::Q4_1 => nibbles(&block[4..], &|n| half(block, 0) * f32::from(n) + half(block, 2)),
                Kind::Q8_0 => block[2..].iter().map(|&byte| half(block, 0) * f32::from(byte as i8)).collect(),
            }
        };
        bytes.chunks_exact(self.block().1).flat_map(of_block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the first nibbles of all bytes are the first half of a block.
    #[test]
    fn blocks_are_read_as_llama_cpp_writes_them() {
        let halves = |values: &[f32]| values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect::<Vec<u8>>();
        let nibbles: Vec<u8> = (0..16).map(|n| n | (15 - n) << 4).collect();
        let low: Vec<f32> = (0..16).map(|n| n as f32).collect();
        let all: Vec<f32> = low.iter().copied().chain(low.iter().rev().copied()).collect();
        let block = [halves(&[0.5]), nibbles.clone()].concat();
        assert_eq!(Kind::Q4_0.values(&block), all.iter().map(|n| 0.5 * (n - 8.0)).collect::<Vec<f32>>());
        let block = [halves(&[0.5, -3.0]), nibbles].concat();
        assert_eq!(Kind::Q4_1.values(&block), all.iter().map(|n| 0.5 * n - 3.0).collect::<Vec<f32>>());
        let bytes: Vec<u8> = (0..32).map(|n| (n as i8 - 16) as u8).collect();
        let block = [halves(&[0.25]), bytes].concat();
        assert_eq!(Kind::Q8_0.values(&block), (0..32).map(|n| 0.25 * (n as f32 - 16.0)).collect::<Vec<f32>>());
        assert_eq!(Kind::F16.values(&halves(&[1.5, -2.0])), [1.5, -2.0]);
        assert_eq!((Kind::Q8_0.bytes(64), Kind::Q8_0.bytes(33)), (Some(68), None));
    }
}
