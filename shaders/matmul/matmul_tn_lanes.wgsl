// y[i, j] = Σ_t a[t, i] · b[t, j] and where summed = 1 also sums[i] = Σ_t a[t, i]; m and n are multiples of four.
// a [batch, k, m], b [batch, k, n], y [batch, m, n], sums [m].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane; those of the first columns also
// own the sums.
override summed: u32;
override batch: u32 = 1u;
override m: u32;
override n: u32;
override k: u32;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

fn parts() -> u32 { return batch; }
fn rows() -> u32 { return m; }
fn columns() -> u32 { return n / 4u; }
fn terms() -> u32 { return k; }
fn strips(part: u32) -> vec2u { return vec2u(0u, 1u); }
// The product at hand.
fn item(part: u32) -> u32 { return select(0u, part, batch > 1u); }
fn strip_at(strip: u32, part: u32) -> u32 { return item(part) * k; }

fn a_at(begin: u32, t: u32, row: u32) -> vec4f {
    return select(vec4f(0.0), a[(begin + min(t, k - 1u)) * (m / 4u) + row], t < k);
}

fn b_at(begin: u32, t: u32, column: u32) -> vec4f { return b[(begin + min(t, k - 1u)) * columns() + column]; }

fn store(part: u32, row: u32, column: u32, sum: vec4f) { y[(item(part) * m + row) * columns() + column] = sum; }

fn store_a_sums(row: u32, total: vec4f) {
    if summed == 1u {
        //: for e in 0..4
        sums[row + $(e)u] = total[$(e)];
        //: end
    }
}

fn store_b_sums(part: u32, column: u32, total: vec4f) {}

//: use gemm_tn_lanes
