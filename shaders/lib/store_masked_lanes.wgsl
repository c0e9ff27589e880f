// The store of gemm_lanes for y [batch, rows, columns] in vectors of four columns: where masked = 1, 0 where the mask at its place
// is not above 0; there is no bias.
//: use row_by_row
override masked: u32;

fn bias_at(column: u32) -> vec4f { return vec4f(0.0); }

fn store(row: u32, column: u32, sum: vec4f, bias: vec4f) {
    let at = (item * rows() + row) * columns() + column;
    let kept = vec4<bool>(masked == 0u) | (mask[at] > vec4f(0.0));
    y[at] = select(vec4f(0.0), sum, kept);
}
