// Runs of x brought to mean 0 and variance 1, then y = x̂·gamma + beta by channels; the mean of each and its scale,
// 1 / √(biased variance + epsilon), are stored. An invocation sums 256 terms at a time, and then these sums. The file that uses this takes in row_runs or group_runs:
//   runs(), count(): how many there are, and the elements of one; span: the invocations that share one;
//   at(k, i), channel(k, i): where element i of run k lies, and its channel.
override epsilon: f32;
// Whether there is a beta.
override moved: bool;
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
    let run = (group.x + group.y * groups.x) * (64u / span) + lane / span;
    let inside = run < runs();
    let k = select(0u, run, inside);
    let first = select(count(), lane % span, inside);
    var sum = 0.0;
    for (var begin = first; begin < count(); begin += 256u * span) {
        var part = 0.0;
        for (var i = begin; i < min(count(), begin + 256u * span); i += span) {
            part += x[at(k, i)];
        }
        sum += part;
    }
    let middle = lane_sum(lane, span, vec2f(sum, 0.0)).x / f32(count());
    var squares = 0.0;
    for (var begin = first; begin < count(); begin += 256u * span) {
        var part = 0.0;
        for (var i = begin; i < min(count(), begin + 256u * span); i += span) {
            let apart = x[at(k, i)] - middle;
            part += apart * apart;
        }
        squares += part;
    }
    let factor = inverseSqrt(lane_sum(lane, span, vec2f(squares, 0.0)).x / f32(count()) + epsilon);
    for (var i = first; i < count(); i += span) {
        y[at(k, i)] = (x[at(k, i)] - middle) * factor * gamma[channel(k, i)]
            + select(0.0, beta[channel(k, i)], moved);
    }
    if inside && lane % span == 0u {
        mean[k] = middle;
        scale[k] = factor;
    }
}
