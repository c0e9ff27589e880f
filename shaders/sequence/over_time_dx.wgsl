// dx[b, t, c] = dy[b, c] / length below the length of row b where mean = 1, else dy[b, c] at its last place; 0 at all others.
// dy [batch, channels], lengths [batch], dx [batch, times, channels]; an invocation owns an element of dx.
override mean: u32;
//: use row_lengths
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= batch * times * channels {
        return;
    }
    let t = i / channels % times;
    let b = i / channels / times;
    let length = row_length(b);
    let d = dy[b * channels + i % channels];
    if mean == 1u {
        dx[i] = select(0.0, d / f32(max(length, 1u)), t < length);
    } else {
        dx[i] = select(0.0, d, t + 1u == length);
    }
}
