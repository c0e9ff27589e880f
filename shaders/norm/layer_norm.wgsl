// y[r, c] = (x[r, c] - mean[r])·scale[r]·gamma[c] + beta[c], with mean[r] the mean of a row, and scale[r] =
// 1 / √(its biased variance + epsilon).
// x, y [rows, channels], mean and scale [rows], gamma and beta [channels]. A workgroup has eight rows, eight invocations
// for each, which take every eighth channel; then pairs are summed.
override rows: u32;
override channels: u32;
override epsilon: f32;
//: use lane_sums
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> scale: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * 8u + lane / 8u;
    let inside = row < rows;
    let first = select(channels, lane % 8u, inside);
    let base = select(0u, row, inside) * channels;
    var sum = 0.0;
    for (var c = first; c < channels; c += 8u) {
        sum += x[base + c];
    }
    let middle = lane_sum(lane, 8u, vec2f(sum, 0.0)).x / f32(channels);
    var squares = 0.0;
    for (var c = first; c < channels; c += 8u) {
        let apart = x[base + c] - middle;
        squares += apart * apart;
    }
    let factor = inverseSqrt(lane_sum(lane, 8u, vec2f(squares, 0.0)).x / f32(channels) + epsilon);
    for (var c = first; c < channels; c += 8u) {
        y[base + c] = (x[base + c] - middle) * factor * gamma[c] + beta[c];
    }
    if inside && lane % 8u == 0u {
        mean[row] = middle;
        scale[row] = factor;
    }
}
