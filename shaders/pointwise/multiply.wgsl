// y[n, p, c] = a[n, p, c] · b[n, c]: element by element where places is 1.
// a, y [samples, places, channels], b [samples, channels]; an invocation owns one of `count` vectors.
override count: u32;
override channels: u32;
override places: u32;

//: use vectors
@group(0) @binding(0) var<storage, read> a: array<V>;
@group(0) @binding(1) var<storage, read> b: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let vectors = channels / $(W)u;
        y[i] = a[i] * b[i / (places * vectors) * vectors + i % vectors];
    }
}
