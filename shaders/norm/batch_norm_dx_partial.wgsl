// Over the rows r of chunk s: partials[s, 0, c] = Σ dy[r, c]·(x[r, c] - mean[c]) / √(variance[c] + epsilon),
// partials[s, 1, c] = Σ dy[r, c].
// dy, x [rows, channels]; partials [chunks, 2, channels]. A workgroup has eight vectors of a chunk, eight invocations
// for each, which take every eighth row; then pairs are summed.
override rows: u32;
override channels: u32;
override blocks: u32;
override chunks: u32;
override per: u32;
override epsilon: f32;

//: use vectors
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> mean: array<V>;
@group(0) @binding(3) var<storage, read> variance: array<V>;
@group(0) @binding(4) var<storage, read_write> partials: array<V>;

struct Sums { normal: V, plain: V }
var<workgroup> sums: array<Sums, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group.x + group.y * groups.x;
    let vectors = channels / $(W)u;
    let vector = at % blocks * 8u + lane % 8u;
    let chunk = at / blocks;
    let inside = chunk < chunks && vector < vectors;
    var sum = Sums();
    if inside {
        let middle = mean[vector];
        let scale = inverseSqrt(variance[vector] + epsilon);
        for (var r = chunk * per + lane / 8u; r < min((chunk + 1u) * per, rows); r += 8u) {
            let d = dy[r * vectors + vector];
            sum.normal += d * ((x[r * vectors + vector] - middle) * scale);
            sum.plain += d;
        }
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half >= 8u; half /= 2u) {
        if lane < half {
            sums[lane].normal += sums[lane + half].normal;
            sums[lane].plain += sums[lane + half].plain;
        }
        workgroupBarrier();
    }
    if lane < 8u && inside {
        partials[2u * chunk * vectors + vector] = sums[lane].normal;
        partials[(2u * chunk + 1u) * vectors + vector] = sums[lane].plain;
    }
}
