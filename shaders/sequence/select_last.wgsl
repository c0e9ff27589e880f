// y[b, c] = x[b, length - 1, c] with the length of row b; 0 where it is 0.
// x [batch, times, channels], lengths [batch], y [batch, channels]; an invocation owns an element of y.
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
    if length == 0u {
        y[i] = 0.0;
    } else {
        y[i] = x[(b * times + length - 1u) * channels + i % channels];
    }
}
