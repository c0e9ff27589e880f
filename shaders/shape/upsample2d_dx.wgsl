// dx[n, h, w, c] = Σ dy[n, h·fh + i, w·fw + j, c] over i < fh and j < fw.
// dy [N, H·fh, w·fw, c], dx [N, H, w, c] of `elements`; an invocation owns a vector of four of dx.
override elements: u32;
override w: u32;
override c: u32;
override fh: u32;
override fw: u32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4f(0.0);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let pixel = (4u * v + e) / c;
        var sum = 0.0;
        for (var i = 0u; i < fh; i += 1u) {
            let row = pixel / w * fh + i;
            for (var j = 0u; j < fw; j += 1u) {
                sum += dy[(row * w * fw + pixel % w * fw + j) * c + (4u * v + e) % c];
            }
        }
        value[e] = sum;
    }
    dx[v] = value;
}
