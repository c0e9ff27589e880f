// A tile of a product of matrices, $(TM) rows × $(TN) columns, by 256 invocations. The operands are read in vectors of $(V)
// numbers, 1 or 4; four take sizes that are multiples of four on the vectors' side. The file that uses this sets
//   A_TERMS, B_TERMS: 1 where the vectors of an operand are terms of a row (of a column), 0 where they are rows (columns) of a
//     term;
// and declares
//   rows(), columns(), terms(): the sizes of the product;
//   a_at(row, term, end) and b_at(term, column, end): the vector of an operand that begins there, 0 beyond the sizes and
//     from the term `end` on;
//   store(row, column, sum, split): called column by column, in each for its rows in ascending order.
// Where splits > 1, a sum is that of the split-th part of the terms, `per_split` of them. A batch has `batch` products one
// after the other; `item` is the one at hand.
// With A_SUMS (B_SUMS) = 1 it also sums the terms of each row of a (column of b): store_sums(first, sums, split) is given the
// vector that begins at row (column) `first`. The vectors of both operands are then those of a term.
override splits: u32;
override per_split: u32;
override batch: u32 = 1u;
var<private> item: u32;
//: for single in 0..(5 - V) / 4
alias Vector = f32;
//: end
//: for four in 0..V / 4
alias Vector = vec4f;
//: end

// The place of a workgroup.
struct Place {
    // The first row and the first column of its tile.
    m0: u32,
    n0: u32,
    // Its part of the sums, and that part's first term and the one after its last.
    split: u32,
    begin: u32,
    end: u32,
}

// The place of the `group`-th workgroup; there may be more workgroups than places.
fn place(group: u32) -> Place {
    let across = (columns() + $(TN - 1)u) / $(TN)u;
    let tiles = across * ((rows() + $(TM - 1)u) / $(TM)u);
    item = group / tiles / splits;
    let split = group / tiles % splits;
    let begin = split * per_split;
    return Place(group % tiles / across * $(TM)u, group % tiles % across * $(TN)u, split, begin,
        min(begin + per_split, terms()));
}

//: for sums in 0..A_SUMS + B_SUMS
// Adds up what the invocations have: those that are a tile's side apart have the same rows or columns.
fn finish_sums(at: Place, lane: u32, summed: Vector) {
    //: let SIDE = (A_SUMS * TM + B_SUMS * TN) / V
    tile_a[lane] = summed;
    workgroupBarrier();
    if ($(A_SUMS)u * at.n0 + $(B_SUMS)u * at.m0 == 0u) & (lane < $(SIDE)u) {
        var sum = summed;
        for (var e = lane + $(SIDE)u; e < 256u; e += $(SIDE)u) {
            sum += tile_a[e];
        }
        store_sums($(A_SUMS)u * at.m0 + $(B_SUMS)u * at.n0 + lane * $(V)u, sum, at.split);
    }
}
//: end
//: for single in 0..(5 - V) / 4
//: use gemm_single
//: end
//: for four in 0..V / 4
//: use gemm_fours
//: end
