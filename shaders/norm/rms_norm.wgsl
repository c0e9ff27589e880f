// y[r, c] = x[r, c]·scale[r]·gamma[c] with scale[r] = 1 / √(Σ x[r, c]² / channels + epsilon), the sum over the row.
// x, y [rows, channels], scale [rows], gamma [channels]. A workgroup has eight rows, eight invocations for each, which
// take every eighth channel.
override rows: u32;
override channels: u32;
override epsilon: f32;
//: use lane_sums
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * 8u + lane / 8u;
    let first = select(channels, lane % 8u, row < rows);
    let base = row * channels;
    var squares = 0.0;
    for (var c = first; c < channels; c += 8u) {
        squares += x[base + c] * x[base + c];
    }
    let factor = inverseSqrt(lane_sum(lane, 8u, vec2f(squares, 0.0)).x / f32(channels) + epsilon);
    for (var c = first; c < channels; c += 8u) {
        y[base + c] = x[base + c] * factor * gamma[c];
    }
    if row < rows && lane % 8u == 0u {
        scale[row] = factor;
    }
}
