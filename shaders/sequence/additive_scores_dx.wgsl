// dx[b, i, a] = v[a]·Σ_j dy[b, i, j]·(1 - tanh²(own[b, i, a] + other[b, j, a])): of queries, and with both turned of keys.
// own [batch, rows, channels], other [batch, terms, channels], v [channels], dy [batch, rows, terms] or, where it is turned,
// [batch, terms, rows]; dx [batch, rows, channels], `count` elements; an invocation owns one.
override count: u32;
override rows: u32;
override terms: u32;
override channels: u32;
override turned: bool;

//: use tanh
@group(0) @binding(0) var<storage, read> own: array<f32>;
@group(0) @binding(1) var<storage, read> other: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let n = id.x + id.y * groups.x * 64u;
    if n >= count {
        return;
    }
    let a = n % channels;
    let row = n / channels;
    let b = row / rows;
    let i = row % rows;
    let x = own[n];
    var sum = 0.0;
    for (var j = 0u; j < terms; j += 1u) {
        let t = tanh_of(x + other[(b * terms + j) * channels + a]);
        let at = b * rows * terms + select(i * terms + j, j * rows + i, turned);
        sum += dy[at] * (1.0 - t * t);
    }
    dx[n] = v[a] * sum;
}
