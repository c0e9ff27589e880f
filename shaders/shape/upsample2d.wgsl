// y[n, h, w, c] = x[n, h / fh, w / fw, c].
// x [N, H, w, c], y [N, H·fh, w·fw, c] of `elements`; an invocation owns a vector of four of y.
override elements: u32;
override w: u32;
override c: u32;
override fh: u32;
override fw: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4f(0.0);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let pixel = (4u * v + e) / c;
        // The rows of all images are contiguous.
        let row = pixel / (w * fw);
        value[e] = x[(row / fh * w + pixel % (w * fw) / fw) * c + (4u * v + e) % c];
    }
    y[v] = value;
}
