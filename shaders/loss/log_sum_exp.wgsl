// y[b] = ln Σ exp(x[b, c]) over c, by the largest x[b, c], so that no exponential overflows.
// x [batch, classes], y [batch]; an invocation owns a row.
override batch: u32;
override classes: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    var most = x[row];
    for (var c = 1u; c < classes; c += 1u) {
        most = max(most, x[row + c]);
    }
    var sum = 0.0;
    for (var c = 0u; c < classes; c += 1u) {
        sum += exp(x[row + c] - most);
    }
    y[b] = most + log(sum);
}
