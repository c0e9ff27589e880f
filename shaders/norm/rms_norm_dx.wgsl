// With g = dy·gamma and x̂ = x·scale, row by row: dx = scale·(g - x̂·Σ g·x̂ / channels).
// dy, x, dx [rows, channels], scale [rows], gamma [channels]. A workgroup has eight rows, eight invocations for each,
// which take every eighth channel.
override rows: u32;
override channels: u32;
//: use lane_sums
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * 8u + lane / 8u;
    let first = select(channels, lane % 8u, row < rows);
    let factor = scale[select(0u, row, row < rows)];
    let base = row * channels;
    var sum = 0.0;
    for (var c = first; c < channels; c += 8u) {
        sum += dy[base + c] * gamma[c] * (x[base + c] * factor);
    }
    let share = lane_sum(lane, 8u, vec2f(sum, 0.0)).x / f32(channels);
    for (var c = first; c < channels; c += 8u) {
        dx[base + c] = factor * (dy[base + c] * gamma[c] - x[base + c] * factor * share);
    }
}
