// y[i, j] = Σ_t a[t, i] · b[t, j] and where summed = 1 also sums[i] = Σ_t a[t, i]; n is a multiple of four.
// a [batch, k, m], b [batch, k, n], y [batch, m, n], sums [m].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane; those of the first columns also
// own the sums.
override summed: u32;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

fn a_at(row: u32, t: u32) -> f32 { return a[(item * k + t) * m + row]; }

fn store(row: u32, column: u32, sum: vec4f) { y[(item * m + row) * columns() + column] = sum; }

fn store_total(row: u32, total: f32) {
    if summed == 1u {
        sums[row] = total;
    }
}

//: use gemm_few_lanes
