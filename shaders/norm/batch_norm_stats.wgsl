// mean[c] and variance[c] (biased) of all valid rows, from those of the chunks, in their order:
//   mean = Σ n[s]·partials[s, 0] / n;  variance = Σ (partials[s, 1] + n[s]·(partials[s, 0] - mean)²) / n.
// partials [chunks, 2, channels], mean and variance [channels]; an invocation owns a channel.
override channels: u32;
override places: u32;
override chunks: u32;
override per: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let c = id.x + id.y * groups.x * 64u;
    if c >= channels {
        return;
    }
    let rows = control.valid * places;
    var sum = 0.0;
    for (var s = 0u; s < chunks; s += 1u) {
        let own = f32(min(max(rows, s * per) - s * per, per));
        sum += own * partials[2u * s * channels + c];
    }
    let middle = sum / f32(max(rows, 1u));
    var squares = 0.0;
    for (var s = 0u; s < chunks; s += 1u) {
        let own = f32(min(max(rows, s * per) - s * per, per));
        let apart = partials[2u * s * channels + c] - middle;
        squares += partials[(2u * s + 1u) * channels + c] + own * apart * apart;
    }
    mean[c] = middle;
    variance[c] = squares / f32(max(rows, 1u));
}
