// A tile of a product of matrices, $(TM) rows × $(TN) columns, by 256 invocations: each owns $(TM/16) × $(TN/16) sums, 16
// apart, and 16 terms at a time pass through workgroup memory. The file that uses this declares
//   rows(), columns(), terms(): the sizes of the product;
//   a_at(row, term, end) and b_at(term, column, end): the operands, 0 beyond the sizes and from the term `end` on;
//   a_term, a_row, b_term, b_column: how far elements that an invocation's neighbour reads are apart: 1 and 16 where terms
//     lie side by side in memory, the tile's side and 1 where rows (or columns) do;
//   store(row, column, sum, split): called column by column, in each for its rows in ascending order.
// Where splits > 1, a sum is that of the split-th part of the terms, `per_split` of them. A batch has `batch` products one
// after the other; `item` is the one at hand.
override splits: u32;
override per_split: u32;
override batch: u32 = 1u;
var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;
var<private> item: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (columns() + $(TN - 1)u) / $(TN)u;
    let tiles = across * ((rows() + $(TM - 1)u) / $(TM)u);
    let slice = group / tiles;
    if slice >= splits * batch {
        return;
    }
    item = slice / splits;
    let split = slice % splits;
    let m0 = group % tiles / across * $(TM)u;
    let n0 = group % tiles % across * $(TN)u;
    let begin = split * per_split;
    let end = min(begin + per_split, terms());
    let tm = lane / 16u;
    let tn = lane % 16u;
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    for (var k0 = begin; k0 < end; k0 += 16u) {
        for (var e = lane; e < $(16 * TM)u; e += 256u) {
            let k = e / a_term % 16u;
            let m = e / a_row % $(TM)u;
            tile_a[k * $(TM + 1)u + m] = a_at(m0 + m, k0 + k, end);
        }
        for (var e = lane; e < $(16 * TN)u; e += 256u) {
            let k = e / b_term % 16u;
            let n = e / b_column % $(TN)u;
            tile_b[k * $(TN + 1)u + n] = b_at(k0 + k, n0 + n, end);
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k += 1u) {
            //: for i in 0..TM/16
            let a_$(i) = tile_a[k * $(TM + 1)u + tm + $(16 * i)u];
            //: end
            //: for j in 0..TN/16
            let b_$(j) = tile_b[k * $(TN + 1)u + tn + $(16 * j)u];
            //: end
            //: for i in 0..TM/16
            //: for j in 0..TN/16
            sum_$(i)_$(j) += a_$(i) * b_$(j);
            //: end
            //: end
        }
        workgroupBarrier();
    }
    //: for j in 0..TN/16
    //: for i in 0..TM/16
    store(m0 + tm + $(16 * i)u, n0 + tn + $(16 * j)u, sum_$(i)_$(j), split);
    //: end
    //: end
}
