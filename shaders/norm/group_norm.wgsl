// y[n, p, c] = (x[n, p, c] - mean[n, g])·scale[n, g]·gamma[c] + beta[c] with g = c / width, mean[n, g] the mean over the
// places p and the channels c of group g, and scale[n, g] = 1 / √(their biased variance + epsilon).
// x, y [samples, places, channels], mean and scale [samples, parts], gamma and beta [channels]; width = channels / parts.
// A workgroup has one group of a sample; its invocations take every 64th element.
override samples: u32;
override places: u32;
override channels: u32;
override parts: u32;
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
    let k = group.x + group.y * groups.x;
    let inside = k < samples * parts;
    let width = channels / parts;
    let count = places * width;
    let base = k / parts * places * channels + k % parts * width;
    let first = select(count, lane, inside);
    var sum = 0.0;
    for (var i = first; i < count; i += 64u) {
        sum += x[base + i / width * channels + i % width];
    }
    let middle = lane_sum(lane, 64u, vec2f(sum, 0.0)).x / f32(count);
    var squares = 0.0;
    for (var i = first; i < count; i += 64u) {
        let apart = x[base + i / width * channels + i % width] - middle;
        squares += apart * apart;
    }
    let factor = inverseSqrt(lane_sum(lane, 64u, vec2f(squares, 0.0)).x / f32(count) + epsilon);
    for (var i = first; i < count; i += 64u) {
        let at = base + i / width * channels + i % width;
        let c = k % parts * width + i % width;
        y[at] = (x[at] - middle) * factor * gamma[c] + beta[c];
    }
    if inside && lane == 0u {
        mean[k] = middle;
        scale[k] = factor;
    }
}
