//! The SHA-256 of a model's weights: it shows whether two runs are identical so far.

use crate::model::formats::sealed::hex;
use crate::model::formats::weights::Weights;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use std::fmt;

/// The SHA-256 of the bytes that follow the header in the weights' `model.safetensors`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of weights, whatever order they are in.
    pub fn of(weights: &Weights) -> Digest {
        use sha2::Digest as _;
        let mut tensors: Vec<_> = weights.tensors.iter().collect();
        tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut hasher = Sha256::new();
        // In pieces, so that large weights are not in memory once more.
        let mut piece = Vec::new();
        for values in tensors.iter().flat_map(|tensor| tensor.values.chunks(1 << 14)) {
            piece.clear();
            piece.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&piece);
        }
        Digest(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("found a digest of another form, expected 64 hexadecimal digits");
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks(2);
        if pairs.len() != bytes.len() || text.len() != 64 {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.as_bytes().iter().all(lower));
            *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Digest(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sequential;
    use crate::model::init::glorot_uniform;

    #[test]
    fn it_is_that_of_the_file_behind_its_header() {
        use sha2::Digest as _;
        let net = Sequential::new([4, 4, 1]).conv2d(3, 3).relu().flatten().dense(5).relu().dense(2);
        let model = net.build().unwrap();
        let mut weights = glorot_uniform(&model, 3).unwrap();
        let file = weights.to_bytes(&model).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let found = Digest::of(&weights);
        assert_eq!(found.to_string(), hex(&Sha256::digest(&file[8 + header..])));
        weights.tensors.reverse();
        assert_eq!(Digest::of(&weights), found);
        weights.tensors[0].values[0] = -weights.tensors[0].values[0];
        assert_ne!(Digest::of(&weights), found, "one bit");
    }

    #[test]
    fn it_is_read_as_it_is_written_and_in_no_other_form() {
        let digest = Digest::of(&Weights::new(Vec::new()));
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(text, "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"");
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        for bad in [text.to_uppercase(), text.replace('e', "+"), text.replacen('e', "", 1), text.replace("e3", "éé")]
        {
            assert!(serde_json::from_str::<Digest>(&bad).is_err(), "{bad}");
        }
    }
}
