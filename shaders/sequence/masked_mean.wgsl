// y[b, c] = Σ x[b, t, c] / length over the places t below the length of row b; 0 where it is 0.
// x [batch, times, channels], lengths [batch], y [batch, channels]; an invocation owns an element of y, and sums 256 terms at a
// time, in four sums, and then these.
//: use row_lengths
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= batch * channels {
        return;
    }
    let b = i / channels;
    let length = row_length(b);
    let first = b * times * channels + i % channels;
    var sum = 0.0;
    for (var begin = 0u; begin < length; begin += 256u) {
        var part = vec4f(0.0);
        for (var t = begin; t < min(length, begin + 256u); t += 16u) {
            //: for k in 0..16
            if t + $(k)u < length {
                part[$(k % 4)] += x[first + (t + $(k)u) * channels];
            }
            //: end
        }
        sum += (part.x + part.y) + (part.z + part.w);
    }
    y[i] = sum / f32(max(length, 1u));
}
