// y[n, i, j, c] = the four pixels of x around row i and column j, each by its share: see lib/bilinear.
// x [N, h, w, c], y [N, h·fh, w·fw, c] of `elements`; an invocation owns a vector of four of y.
//: use bilinear
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
        let channel = (4u * v + e) % c;
        let row = between(pixel / (w * fw) % (h * fh), h, fh);
        let column = between(pixel % (w * fw), w, fw);
        let image = pixel / (w * fw) / (h * fh) * h;
        let above = (image + row.low) * w;
        let below = (image + min(row.low + 1u, h - 1u)) * w;
        let right = min(column.low + 1u, w - 1u);
        let top = (1.0 - column.share) * x[(above + column.low) * c + channel]
            + column.share * x[(above + right) * c + channel];
        let bottom = (1.0 - column.share) * x[(below + column.low) * c + channel]
            + column.share * x[(below + right) * c + channel];
        value[e] = (1.0 - row.share) * top + row.share * bottom;
    }
    y[v] = value;
}
