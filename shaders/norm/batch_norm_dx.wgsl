// With k[c] = 1 / √(variance[c] + epsilon), x̂ = (x - mean)·k and n = valid · places, for the n valid rows (0 beyond):
//   dx[r, c] = gamma[c]·k[c]·(dy[r, c] - (dbeta[c] + x̂[r, c]·dgamma[c]) / n).
// dy, x, dx [rows, channels], sums [2, channels] has dgamma and dbeta, the others [channels]; an invocation owns one of
// `count` vectors.
override count: u32;
override channels: u32;
override places: u32;
override epsilon: f32;

//: use control
//: use vectors
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> dy: array<V>;
@group(0) @binding(2) var<storage, read> x: array<V>;
@group(0) @binding(3) var<storage, read> gamma: array<V>;
@group(0) @binding(4) var<storage, read> mean: array<V>;
@group(0) @binding(5) var<storage, read> variance: array<V>;
@group(0) @binding(6) var<storage, read> sums: array<V>;
@group(0) @binding(7) var<storage, read_write> dx: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let vectors = channels / $(W)u;
    let c = i % vectors;
    let rows = control.valid * places;
    let k = inverseSqrt(variance[c] + epsilon);
    let shared_part = (sums[vectors + c] + (x[i] - mean[c]) * k * sums[c]) / f32(max(rows, 1u));
    dx[i] = select(V(), gamma[c] * k * (dy[i] - shared_part), i / vectors < rows);
}
