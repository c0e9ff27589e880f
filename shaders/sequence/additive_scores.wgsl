// y[b, i, j] = Σ_a v[a]·tanh(q[b, i, a] + k[b, j, a]).
// q [batch, queries, channels], k [batch, keys, channels], v [channels]; y [batch, queries, keys], `count` elements; an invocation
// owns one.
override count: u32;
override queries: u32;
override keys: u32;
override channels: u32;

//: use tanh
@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let n = id.x + id.y * groups.x * 64u;
    if n >= count {
        return;
    }
    let row = n / keys;
    let query = row * channels;
    let key = (row / queries * keys + n % keys) * channels;
    var sum = 0.0;
    for (var a = 0u; a < channels; a += 1u) {
        sum += v[a] * tanh_of(q[query + a] + k[key + a]);
    }
    y[n] = sum;
}
