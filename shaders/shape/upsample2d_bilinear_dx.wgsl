// dx[n, i, j, c] = Σ dy[n, o, p, c] over the rows o and columns p that read pixel (i, j), by its share of each: see lib/bilinear.
// dy [N, h·fh, w·fw, c], dx [N, h, w, c] of `elements`; an invocation owns a vector of four of dx.
//: use bilinear
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<vec4f>;

// The share that row, or column, `own` has of the one at `at`.
fn share_of(own: u32, at: u32, size: u32, factor: u32) -> f32 {
    let found = between(at, size, factor);
    var share = select(0.0, 1.0 - found.share, found.low == own);
    if min(found.low + 1u, size - 1u) == own {
        share += found.share;
    }
    return share;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4f(0.0);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let pixel = (4u * v + e) / c;
        let i = pixel / w % h;
        let j = pixel % w;
        let image = pixel / w / h * h * fh;
        var sum = 0.0;
        for (var o = (max(i, 1u) - 1u) * fh; o < min(i + 2u, h) * fh; o += 1u) {
            let of_row = share_of(i, o, h, fh);
            for (var p = (max(j, 1u) - 1u) * fw; p < min(j + 2u, w) * fw; p += 1u) {
                let at = ((image + o) * w * fw + p) * c + (4u * v + e) % c;
                sum += of_row * share_of(j, p, w, fw) * dy[at];
            }
        }
        value[e] = sum;
    }
    dx[v] = value;
}
