// The sums of columns in pairs: of partials [chunks, 2, channels] both sums of a channel, in the order of the chunks.
override channels: u32;
override chunks: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;

fn column_pair(c: u32) -> vec2f {
    var sum = vec2f(0.0);
    for (var s = 0u; s < chunks; s += 1u) {
        sum += vec2f(partials[2u * s * channels + c], partials[(2u * s + 1u) * channels + c]);
    }
    return sum;
}
