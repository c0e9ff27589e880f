// Over the rows r of chunk s: partials[s, 0, c] = Σ dy[r, c]·(x[r, c] - mean[r])·scale[r], partials[s, 1, c] = Σ dy[r, c].
// dy, x [rows, channels], mean and scale [rows]; partials [chunks, 2, channels].
//: use column_sums
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;

fn term(r: u32, c: u32) -> vec2f {
    let d = dy[r * channels + c];
    return vec2f(d * ((x[r * channels + c] - mean[r]) * scale[r]), d);
}
