// dw[i] = Σ_s partials[s, i] for i < weights, db[i - weights] for the rest.
// partials [splits, weights + channels], dw [weights], db [channels].
override weights: u32;
override channels: u32;
const each = 1u;
//: use sum_parts
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

fn count() -> u32 {
    return weights + channels;
}

fn store(i: u32, q: u32, sum: f32) {
    if i < weights {
        dw[i] = sum;
    } else {
        db[i - weights] = sum;
    }
}
