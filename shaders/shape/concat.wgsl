// y[r, c] = a[r, c] for c < left, else b[r, c - left].
// a [rows, left], b [rows, right], y [rows, left + right] of `elements`; an invocation owns a vector of four of y.
override elements: u32;
override left: u32;
override right: u32;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4f(0.0);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let row = (4u * v + e) / (left + right);
        let c = (4u * v + e) % (left + right);
        if c < left {
            value[e] = a[row * left + c];
        } else {
            value[e] = b[row * right + c - left];
        }
    }
    y[v] = value;
}
