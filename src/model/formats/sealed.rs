//! Sealed safetensors files: the SHA-256 of the whole file, header included, stands at a fixed place in its header.
//!
//! Byte 8, where the header begins, is always that of `{"__metadata__":{"sha256":"`; 64 hexadecimal digits follow. They
//! are the digest of the file with zeros (`0`) in their place. Other readers of safetensors see one more key.

use crate::error::{Error, Result};
use crate::model::formats::tensor::NamedTensor;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// How every sealed header begins, after its length in 8 bytes.
const START: &str = r#"{"__metadata__":{"sha256":""#;

/// Where the digest stands.
const DIGEST: std::ops::Range<usize> = 8 + START.len()..8 + START.len() + 64;

/// The longest header that readers of the format take, in bytes: that of a run of some 300,000 epochs.
const LARGEST_HEADER_BYTES: usize = 100_000_000;

/// Bytes that tell a sealed file from others.
pub const MARK_BYTES: usize = DIGEST.start;

/// The content of a sealed file.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The metadata, without the digest.
    pub metadata: HashMap<String, String>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<NamedTensor>,
}

/// Whether a file that begins like this is sealed.
pub fn is_sealed(start: &[u8]) -> bool {
    start.get(8..MARK_BYTES) == Some(START.as_bytes())
}

/// The bytes of a file with these metadata and tensors, in this order.
///
/// # Errors
/// [`Error::Failed`] if a text cannot be written as JSON, or if there is more than readers take.
pub fn seal(metadata: &[(&str, &str)], tensors: &[NamedTensor]) -> Result<Vec<u8>> {
    let quoted = |text: &str| serde_json::to_string(text).map_err(|e| Error::failed(format!("{text:?}: {e}")));
    let mut header = format!("{START}{}\"", "0".repeat(64));
    for (key, value) in metadata {
        header += &format!(",{}:{}", quoted(key)?, quoted(value)?);
    }
    header.push('}');
    let mut at = 0;
    for tensor in tensors {
        let end = at + tensor.values.len() * size_of::<f32>();
        let (name, shape) = (quoted(&tensor.name)?, &tensor.shape);
        header += &format!(r#",{name}:{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{end}]}}"#);
        at = end;
    }
    header.push('}');
    // What could not be read again is no checkpoint.
    if header.len() > LARGEST_HEADER_BYTES {
        let found = header.len();
        return Err(Error::failed(format!("found a header of {found} bytes, expected at most {LARGEST_HEADER_BYTES}")));
    }
    // The data begins at a multiple of 8, as the format asks for.
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    let mut bytes = Vec::with_capacity(8 + header.len() + at);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tensors.iter().flat_map(|t| &t.values).flat_map(|value| value.to_le_bytes()));
    let digest = hex(&Sha256::digest(&bytes));
    bytes[DIGEST].copy_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// Reads a sealed file; nothing in it is looked at before the digest is found right.
///
/// # Errors
/// [`Error::Input`] for a file that is not sealed, was changed since, or holds other elements than 32-bit floats.
pub fn open(bytes: &[u8]) -> Result<Opened> {
    let Some(found) = bytes.get(DIGEST).filter(|_| is_sealed(bytes)) else {
        let length = bytes.len();
        return Err(Error::input(format!("found {length} bytes that do not begin as a checkpoint does, expected one")));
    };
    let mut hasher = Sha256::new();
    hasher.update(&bytes[..DIGEST.start]);
    hasher.update([b'0'; 64]);
    hasher.update(&bytes[DIGEST.end..]);
    let expected = hex(&hasher.finalize());
    if found != expected.as_bytes() {
        let found = String::from_utf8_lossy(found).escape_debug().to_string();
        return Err(Error::input(format!(
            "the file is damaged: found SHA-256 {expected} of its bytes, expected {found} as its header says"
        )));
    }
    let malformed = |why: &dyn std::fmt::Display| Error::input(format!("found a malformed file: {why}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| malformed(&e))?;
    let views = SafeTensors::deserialize(bytes).map_err(|e| malformed(&e))?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    metadata.remove("sha256");
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let view = views.tensor(&name).map_err(|e| malformed(&e))?;
        if view.dtype() != Dtype::F32 {
            return Err(malformed(&format!("tensor {} is {}, expected F32", name.escape_debug(), view.dtype())));
        }
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        tensors.push(NamedTensor { name, shape: view.shape().into(), values });
    }
    Ok(Opened { metadata, tensors })
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (Vec<NamedTensor>, Vec<u8>) {
        let tensor = |name: &str, shape: &[usize]| {
            let values = (0..shape.iter().product::<usize>()).map(|i| i as f32 - 2.5).collect();
            NamedTensor { name: name.into(), shape: shape.into(), values }
        };
        let tensors = vec![tensor("0.weight", &[2, 3]), tensor("a \"name\"", &[1]), tensor("empty", &[0])];
        let bytes = seal(&[("wgrad", "{\"x\":1}"), ("other", "tab\t")], &tensors).unwrap();
        (tensors, bytes)
    }

    #[test]
    fn what_no_reader_takes_is_not_sealed() {
        let long = "x".repeat(LARGEST_HEADER_BYTES);
        let error = seal(&[("k", &long)], &[]).unwrap_err().to_string();
        assert!(error.contains("expected at most 100000000"), "{error}");
    }

    #[test]
    fn what_is_sealed_opens_again_and_the_digest_is_that_of_sha256sum() {
        let (tensors, bytes) = file();
        let opened = open(&bytes).unwrap();
        assert_eq!(opened.tensors, tensors);
        assert_eq!(opened.metadata["other"], "tab\t");
        assert_eq!(opened.metadata.len(), 2);
        assert!(bytes.len().is_multiple_of(4) && is_sealed(&bytes[..MARK_BYTES]));
        let mut zeroed = bytes.clone();
        zeroed[DIGEST].fill(b'0');
        assert_eq!(hex(&Sha256::digest(&zeroed)).as_bytes(), &bytes[DIGEST]);
        assert_eq!(bytes, file().1, "the same bytes every time");
    }

    #[test]
    fn no_bit_can_flip_and_no_byte_can_go() {
        let (_, bytes) = file();
        for at in 0..bytes.len() {
            assert!(open(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(matches!(open(&bad), Err(Error::Input(_))), "byte {at} bit {bit}");
            }
        }
        assert!(open(&[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
    }
}
