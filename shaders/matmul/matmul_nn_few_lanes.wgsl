// y[i, j] = Σ_t a[i, t] · b[t, j]; where masked = 1, it is 0 where mask[i, j] is not above 0. For any k; n is a multiple
// of four. a [batch, m, k], b [batch, k, n], mask and y [batch, m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane.
override masked: u32;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn a_at(row: u32, t: u32) -> f32 { return a[(item * m + row) * k + t]; }

fn store(row: u32, column: u32, sum: vec4f) {
    let at = (item * m + row) * columns() + column;
    let kept = vec4<bool>(masked == 0u) | (mask[at] > vec4f(0.0));
    y[at] = select(vec4f(0.0), sum, kept);
}

fn store_total(row: u32, total: f32) {}

//: use gemm_few_lanes
