// dv[a] = Σ_{b, i, j} dy[b, i, j]·tanh(q[b, i, a] + k[b, j, a]).
// q [batch, queries, channels], k [batch, keys, channels], dy [batch, queries, keys], `count` elements; dv [channels]; a workgroup
// owns an element, its invocations sum every 64th term, and then these sums are added in pairs.
override count: u32;
override queries: u32;
override keys: u32;
override channels: u32;

//: use tanh
@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dv: array<f32>;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) own: u32,
) {
    let a = min(group.x + group.y * groups.x, channels - 1u);
    var sum = 0.0;
    for (var n = own; n < count; n += 64u) {
        let row = n / keys;
        let key = row / queries * keys + n % keys;
        sum += dy[n] * tanh_of(q[row * channels + a] + k[key * channels + a]);
    }
    sums[own] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if own < half {
            sums[own] += sums[own + half];
        }
        workgroupBarrier();
    }
    if own == 0u {
        dv[a] = sums[0];
    }
}
