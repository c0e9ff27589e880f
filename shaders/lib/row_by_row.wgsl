// The store_four of gemm_lanes for kernels that store row by row. The file that uses it declares
// store(row, column, sum, bias).
fn store_four(row: u32, column: u32, sums: mat4x4f, bias: vec4f) {
    //: for r in 0..4
    if row + $(r)u < rows() {
        store(row + $(r)u, column, sums[$(r)], bias);
    }
    //: end
}
