// y[r, k] = exp(scale·x[r, k]) / Σ exp(scale·x[r, ·]) over the keys k below the length of r's row of the batch and, where
// causal = 1, up to the query of r; 0 at all others. By the largest score, so that no exponential overflows.
// x, y [batch·each, times], `queries` rows r of each head, lengths [batch]. A workgroup has eight rows, eight invocations for each,
// which take every eighth key.
override each: u32;
override queries: u32;
override scale: f32;
override causal: u32;
//: use row_lengths
//: use lane_sums
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> most: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let own = (group.x + group.y * groups.x) * 8u + lane / 8u;
    let inside = own < batch * each;
    let row = select(0u, own, inside);
    var seen = row_length(row / each);
    if causal == 1u {
        seen = min(seen, row % queries + 1u);
    }
    let first = row * times;
    var top = -3.4e38;
    for (var k = lane % 8u; k < seen; k += 8u) {
        top = max(top, scale * x[first + k]);
    }
    most[lane] = top;
    workgroupBarrier();
    for (var i = 0u; i < 8u; i += 1u) {
        top = max(top, most[lane / 8u * 8u + i]);
    }
    var sum = 0.0;
    for (var k = lane % 8u; k < seen; k += 8u) {
        sum += exp(scale * x[first + k] - top);
    }
    sum = lane_sum(lane, 8u, vec2f(sum, 0.0)).x;
    if inside {
        for (var k = lane % 8u; k < times; k += 8u) {
            if k < seen {
                y[first + k] = exp(scale * x[first + k] - top) / sum;
            } else {
                y[first + k] = 0.0;
            }
        }
    }
}
