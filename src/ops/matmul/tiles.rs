//! Tile shapes: what one workgroup of a product computes. A small table per class of adapter, no autotuner; every entry
//! is run by the cases of the ops.

/// What a workgroup of the class "tile" computes, of a product whose operands it reads in vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Numbers of a vector: 1, or 4 where the sides on which both operands' vectors lie are multiples of four.
    vector: usize,
    rows: usize,
    columns: usize,
    /// Invocations across.
    across: usize,
    /// Terms that pass through workgroup memory at a time.
    terms: usize,
}

/// The sides of tiles of single numbers.
const SIDES: [usize; 3] = [16, 32, 64];

/// The tiles of vectors of four: the square ones, and the one for few columns.
const LARGE: Tile = Tile { vector: 4, rows: 128, columns: 128, across: 16, terms: 8 };
const SQUARE: Tile = Tile { vector: 4, rows: 64, columns: 64, across: 16, terms: 16 };
const NARROW: Tile = Tile { vector: 4, rows: 128, columns: 32, across: 8, terms: 16 };

impl Tile {
    /// Every tile of the class "tile". An invocation has at most 64 sums, and workgroup memory is at most 16 KiB.
    pub fn all() -> impl Iterator<Item = Tile> {
        let single = SIDES.into_iter().flat_map(|rows| SIDES.map(|columns| Tile::single(rows, columns)));
        single.chain([LARGE, SQUARE, NARROW])
    }

    fn single(rows: usize, columns: usize) -> Tile {
        Tile { vector: 1, rows, columns, across: 16, terms: 16 }
    }

    /// The tile for `rows` × `columns`, where `fours` says whether the operands lie in vectors of four.
    pub fn of(rows: usize, columns: usize, fours: bool) -> Tile {
        match fours && rows >= 32 && columns > 16 {
            true if large(rows, columns) => LARGE,
            true if columns <= 32 && rows > 64 => NARROW,
            true if columns > 32 => SQUARE,
            _ => Tile::single(side(rows), side(columns)),
        }
    }

    /// The tile for pools of 2 × 2, whose windows are 64 rows for each 16: an invocation has all places of a window.
    pub fn of_windows(columns: usize, fours: bool) -> Tile {
        if fours && columns > 32 { SQUARE } else { Tile::single(64, side(columns)) }
    }

    /// The tiles of `rows` × `columns`.
    pub fn groups(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }

    /// The parameters of the templates.
    pub fn params(&self) -> [(&'static str, i64); 5] {
        let all = [("V", self.vector), ("TM", self.rows), ("TN", self.columns), ("X", self.across), ("K", self.terms)];
        all.map(|(name, size)| (name, size as i64))
    }
}

/// Whether tiles of 128 × 128 are faster than those of 64 × 64 (docs/speed.md): at least as many as keep a large GPU busy, and no
/// more of a matrix's edge in them.
fn large(rows: usize, columns: usize) -> bool {
    let tiles = |side: usize| rows.div_ceil(side) * columns.div_ceil(side);
    tiles(128) >= 512 && 4 * tiles(128) * 10 <= tiles(64) * 11
}

/// The side of a tile of single numbers for `size` outputs: no more than are needed.
fn side(size: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fit_what_they_compute() {
        let sides = |rows, columns, fours| {
            let tile = Tile::of(rows, columns, fours);
            [tile.vector, tile.rows, tile.columns]
        };
        assert_eq!(sides(4096, 4096, true), [4, 128, 128]);
        assert_eq!(sides(4096, 4096, false), [1, 64, 64]);
        // Half of such tiles would be beyond the last column.
        assert_eq!(sides(1 << 20, 64, true), [4, 64, 64]);
        assert_eq!(sides(1024, 1024, true), [4, 64, 64]);
        assert_eq!(sides(100_000, 32, true), [4, 128, 32]);
        assert_eq!(sides(64, 32, true), [1, 64, 32]);
        assert_eq!(sides(128, 10, true), [1, 64, 16]);
    }
}
