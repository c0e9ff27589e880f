// Sums down the columns of [rows, channels], in chunks of rows: partials[s, 0, c] and partials[s, 1, c] are the sums of
// the two numbers of term(r, c), which is the file's own, over the rows r of chunk s.
// partials [chunks, 2, channels]. A workgroup has eight channels of a chunk, eight invocations for each, which take every
// eighth row; then pairs are summed.
override rows: u32;
override channels: u32;
override blocks: u32;
override chunks: u32;
override per: u32;
@group(0) @binding(0) var<storage, read_write> partials: array<f32>;
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
    var sum = vec2f(0.0);
    if inside {
        for (var r = chunk * per + lane / 8u; r < min((chunk + 1u) * per, rows); r += 8u) {
            sum += term(r, channel);
        }
    }
    let all = eight_sum(lane, sum);
    if lane < 8u && inside {
        partials[2u * chunk * channels + channel] = all.x;
        partials[(2u * chunk + 1u) * channels + channel] = all.y;
    }
}
