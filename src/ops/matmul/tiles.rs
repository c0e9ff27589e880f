//! Tile shapes: what one workgroup of a product computes. A small table per class of adapter, no autotuner; every entry
//! is run by the cases of the ops.

/// Rows or columns of a tile in workgroup memory, for the class "tile": 256 invocations share a tile, and the largest
/// two sides that may meet keep within 16 KiB.
pub const SIDES: [usize; 3] = [16, 32, 64];

/// The side for `size` outputs: no more than are needed.
pub fn side(size: usize) -> usize {
    SIDES.into_iter().find(|&side| size <= side).unwrap_or(SIDES[2])
}

/// The part of a workgroup of the class "lanes": rows, and vectors of four columns of each lane.
///
/// 32 vectors of sums per lane are the most that software adapters keep cheaply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanesTile {
    /// Rows.
    pub rows: usize,
    /// Vectors of four columns of a lane.
    pub vectors: usize,
}

/// The tiles of the class "lanes": for more columns than a vector for each lane, and for no more.
pub const LANES: [LanesTile; 2] = [LanesTile { rows: 16, vectors: 2 }, LanesTile { rows: 32, vectors: 1 }];

impl LanesTile {
    /// The tile for `columns` in subgroups of `lanes`.
    pub fn of(columns: usize, lanes: u32) -> LanesTile {
        LANES[usize::from(columns / 4 <= lanes as usize)]
    }

    /// Workgroups for `rows` by `columns`.
    pub fn groups(&self, rows: usize, columns: usize, lanes: u32) -> usize {
        rows.div_ceil(self.rows) * (columns / 4).div_ceil(self.vectors * lanes as usize)
    }

    /// The parameters of the templates.
    pub fn params(&self, lanes: u32) -> [(&'static str, i64); 3] {
        [("L", lanes.into()), ("R", self.rows as i64), ("V", self.vectors as i64)]
    }
}

/// Terms that a product over few of them takes in one turn: as many as leave no rest, up to five.
pub fn unroll(terms: usize) -> i64 {
    [4, 5, 3, 2].into_iter().find(|&u| terms.is_multiple_of(u)).unwrap_or(4) as i64
}
