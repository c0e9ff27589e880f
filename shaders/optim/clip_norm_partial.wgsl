// Sums of squares, one per workgroup: squares[w] = Σ g² over the vectors w·256 + lane, then every workgroups · 256
// further. grads [count] vectors of four, squares [workgroups]. An invocation sums its vectors in their order, then
// pairs of invocations are summed.
override count: u32;

@group(0) @binding(0) var<storage, read> grads: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    var sum = 0.0;
    for (var i = group.x * 256u + lane; i < count; i += groups.x * 256u) {
        sum += dot(grads[i], grads[i]);
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        squares[group.x] = sums[0];
    }
}
