// With g = dy·gamma, x̂ = (x - mean)·scale and m elements in a group, group by group:
//   dx = scale·(g - Σ g / m - x̂·Σ g·x̂ / m).
// dy, x, dx [samples, places, channels], mean and scale [samples, parts], gamma [channels]; a group has channels / parts
// channels at every place. A workgroup has one group of a sample; its invocations take every 64th element.
override samples: u32;
override places: u32;
override channels: u32;
override parts: u32;
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
    let place = group.x + group.y * groups.x;
    let inside = place < samples * parts;
    let k = select(0u, place, inside);
    let width = channels / parts;
    let count = places * width;
    let start = k % parts * width;
    let base = k / parts * places * channels + start;
    let middle = mean[k];
    let factor = scale[k];
    let first = select(count, lane, inside);
    var sum = vec2f(0.0);
    for (var i = first; i < count; i += 64u) {
        let at = base + i / width * channels + i % width;
        let g = dy[at] * gamma[start + i % width];
        sum += vec2f(g, g * ((x[at] - middle) * factor));
    }
    let shares = lane_sum(lane, 64u, sum) / f32(count);
    for (var i = first; i < count; i += 64u) {
        let at = base + i / width * channels + i % width;
        let normal = (x[at] - middle) * factor;
        dx[at] = factor * (dy[at] * gamma[start + i % width] - shares.x - normal * shares.y);
    }
}
