//! The data of a pipeline cache, stored in a file: only a whole file of this crate for the same adapter and driver is
//! taken for one. It stands beside [`crate::sys::pipeline_cache`], whose safety rests on it.
#![deny(unsafe_code)]

/// The header before the data in a file: its kind and version, adapter and driver.
fn head(key: &str) -> String {
    format!("wgrad pipelines 1\n{key}\n")
}

/// A file's contents: the head, the data's length and CRC-32 (little endian), the data.
pub(crate) fn pack(data: &[u8], key: &str) -> Vec<u8> {
    let (length, sum) = sum_of(data);
    [head(key).as_bytes(), &(length as u64).to_le_bytes(), &sum.to_le_bytes(), data].concat()
}

/// A cache's data from a file of ours that is whole and was made for this adapter and driver.
#[derive(Debug)]
pub(crate) struct Kept<'a>(&'a [u8]);

impl<'a> Kept<'a> {
    pub(crate) fn unpack(bytes: &'a [u8], key: &str) -> Option<Self> {
        let rest = bytes.strip_prefix(head(key).as_bytes())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sum, data) = rest.split_first_chunk()?;
        let said = (u64::from_le_bytes(*length), u32::from_le_bytes(*sum));
        let (length, sum) = sum_of(data);
        (said == (length as u64, sum)).then_some(Kept(data))
    }

    /// The data, as the cache gave it out.
    pub(crate) fn data(&self) -> &[u8] {
        self.0
    }
}

/// Length and CRC-32.
pub(crate) fn sum_of(data: &[u8]) -> (usize, u32) {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    (data.len(), crc.sum())
}
