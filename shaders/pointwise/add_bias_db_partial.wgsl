// partials[s, c] = Σ dy[r, c] over the rows r of chunk s.
// dy [rows, channels]; partials [chunks, channels]. A workgroup has eight channels of a chunk, eight invocations for each,
// which take every eighth row; then pairs are summed.
override rows: u32;
override channels: u32;
override blocks: u32;
override chunks: u32;
override per: u32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
//: use eight_sums

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group.x + group.y * groups.x;
    let channel = at % blocks * 8u + lane % 8u;
    let chunk = at / blocks;
    let inside = chunk < chunks && channel < channels;
    var sum = 0.0;
    if inside {
        for (var r = chunk * per + lane / 8u; r < min((chunk + 1u) * per, rows); r += 8u) {
            sum += dy[r * channels + channel];
        }
    }
    let all = eight_sum(lane, vec2f(sum, 0.0)).x;
    if lane < 8u && inside {
        partials[chunk * channels + channel] = all;
    }
}
