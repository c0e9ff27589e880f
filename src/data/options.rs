//! How the files of a data set are to be read.

/// How the files of a data set are to be read.
#[derive(Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// Height and width that all images are brought to; without, they must have one size. Of CSV the size that images have.
    pub size: Option<[usize; 2]>,
    /// Channels of the images, 1 grey or 3 RGB; without, 1 where every image is grey, else 3.
    pub channels: Option<usize>,
    /// Whether a file that cannot be used is an error; without, it is left out, named and counted.
    pub strict: bool,
    /// The most bytes of a split's pixels that are held in memory, where they can stay in their file instead (IDX that is
    /// not packed, NumPy); without, all are.
    pub hold_bytes: Option<u64>,
    /// Is told how many files are read, of how many.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl std::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("size", &self.size)
            .field("channels", &self.channels)
            .field("strict", &self.strict)
            .field("hold_bytes", &self.hold_bytes)
            .finish_non_exhaustive()
    }
}
