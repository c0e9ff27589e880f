// For the rows r of chunk s that are valid: partials[s, 0, c] = mean of x[r, c], partials[s, 1, c] = Σ (x[r, c] - that mean)².
// x [rows, channels], `places` rows a sample; partials [chunks, 2, channels], 0 where a chunk has no valid row. A
// workgroup has eight vectors of a chunk, eight invocations for each, which take every eighth row; then pairs are summed.
override channels: u32;
override places: u32;
override blocks: u32;
override chunks: u32;
override per: u32;

//: use control
//: use vectors
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> partials: array<V>;

var<workgroup> sums: array<V, 64>;

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
    let begin = chunk * per;
    let end = min(begin + per, control.valid * places);
    let inside = chunk < chunks && vector < vectors;
    let last = select(0u, end, inside);
    var sum = V();
    for (var r = begin + lane / 8u; r < last; r += 8u) {
        sum += x[r * vectors + vector];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half >= 8u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    let mean = select(V(), sums[lane % 8u] / f32(max(end, begin + 1u) - begin), end > begin);
    workgroupBarrier();
    var squares = V();
    for (var r = begin + lane / 8u; r < last; r += 8u) {
        let apart = x[r * vectors + vector] - mean;
        squares += apart * apart;
    }
    sums[lane] = squares;
    workgroupBarrier();
    for (var half = 32u; half >= 8u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane < 8u && inside {
        partials[2u * chunk * vectors + vector] = mean;
        partials[(2u * chunk + 1u) * vectors + vector] = sums[lane];
    }
}
