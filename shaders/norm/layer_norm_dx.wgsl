// With g = dy·gamma and x̂ = (x - mean)·scale, row by row: dx = scale·(g - Σ g / channels - x̂·Σ g·x̂ / channels).
// dy, x, dx [rows, channels], mean and scale [rows], gamma [channels]. A workgroup has eight rows, eight invocations for
// each, which take every eighth channel; then pairs are summed.
override rows: u32;
override channels: u32;
//: use lane_sums
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * 8u + lane / 8u;
    let inside = row < rows;
    let first = select(channels, lane % 8u, inside);
    let at = select(0u, row, inside);
    let base = at * channels;
    let middle = mean[at];
    let factor = scale[at];
    var sum = vec2f(0.0);
    for (var c = first; c < channels; c += 8u) {
        let g = dy[base + c] * gamma[c];
        sum += vec2f(g, g * ((x[base + c] - middle) * factor));
    }
    let shares = lane_sum(lane, 8u, sum) / f32(channels);
    for (var c = first; c < channels; c += 8u) {
        let normal = (x[base + c] - middle) * factor;
        dx[base + c] = factor * (dy[base + c] * gamma[c] - shares.x - normal * shares.y);
    }
}
