// dw[v, c] = Σ dy[n, c] over the rows n with tokens[n] = v, in their order; where splits > 1, dw[s] is the s-th part of it,
// over `per_split` rows.
// tokens [rows], dy [rows, channels], dw [vocabulary, channels] or [splits, vocabulary, channels]. A workgroup owns 256
// channels of one v. Each invocation compares 32 tokens a round, and then adds up every 64th of the channels.
override rows: u32;
override vocabulary: u32;
override channels: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
// Bit i of word w: whether row 32·w + i of the round is one of v's.
var<workgroup> hits: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let blocks = (channels + 255u) / 256u;
    let v = group / blocks % vocabulary;
    let split = group / (blocks * vocabulary);
    if split >= splits {
        return;
    }
    let end = min((split + 1u) * per_split, rows);
    let c = group % blocks * 256u + lane;
    // Channels beyond the end repeat the last one, and are not stored.
    let at = min(vec4u(c, c + 64u, c + 128u, c + 192u), vec4u(channels - 1u));
    var sum = vec4f(0.0);
    for (var first = split * per_split; first < end; first += 2048u) {
        var mine = 0u;
        for (var i = 0u; i < 32u; i += 1u) {
            let n = first + 32u * lane + i;
            mine |= u32(n < end && tokens[min(n, rows - 1u)] == v) << i;
        }
        hits[lane] = mine;
        workgroupBarrier();
        for (var w = 0u; w < 64u; w += 1u) {
            var bits = hits[w];
            while bits != 0u {
                let row = (first + 32u * w + countTrailingZeros(bits)) * channels;
                sum += vec4f(dy[row + at.x], dy[row + at.y], dy[row + at.z], dy[row + at.w]);
                bits &= bits - 1u;
            }
        }
        workgroupBarrier();
    }
    let row = (split * vocabulary + v) * channels;
    //: for k in 0..4
    if c + $(64 * k)u < channels {
        dw[row + c + $(64 * k)u] = sum[$k];
    }
    //: end
}
