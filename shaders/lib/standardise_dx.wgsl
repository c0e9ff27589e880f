// The gradient of standardise: with g = dy·gamma, x̂ = (x - mean)·scale and m elements in a run,
//   dx = scale·(g - Σ g / m - x̂·Σ g·x̂ / m). The file that uses this takes in row_runs or group_runs.
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
    let run = (group.x + group.y * groups.x) * (64u / span) + lane / span;
    let inside = run < runs();
    let k = select(0u, run, inside);
    let first = select(count(), lane % span, inside);
    let middle = mean[k];
    let factor = scale[k];
    var sum = vec2f(0.0);
    for (var begin = first; begin < count(); begin += 256u * span) {
        var part = vec2f(0.0);
        for (var i = begin; i < min(count(), begin + 256u * span); i += span) {
            let g = dy[at(k, i)] * gamma[channel(k, i)];
            part += vec2f(g, g * ((x[at(k, i)] - middle) * factor));
        }
        sum += part;
    }
    let shares = lane_sum(lane, span, sum) / f32(count());
    for (var i = first; i < count(); i += span) {
        let normal = (x[at(k, i)] - middle) * factor;
        dx[at(k, i)] = factor * (dy[at(k, i)] * gamma[channel(k, i)] - shares.x - normal * shares.y);
    }
}
