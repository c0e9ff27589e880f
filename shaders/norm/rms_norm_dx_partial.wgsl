// Over the rows r of chunk s: partials[s, 0, c] = Σ dy[r, c]·x[r, c]·scale[r]; partials[s, 1, c] = 0.
// dy, x [rows, channels], scale [rows]; partials [chunks, 2, channels].
//: use column_sums
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;

fn term(r: u32, c: u32) -> vec2f {
    return vec2f(dy[r * channels + c] * (x[r * channels + c] * scale[r]), 0.0);
}
