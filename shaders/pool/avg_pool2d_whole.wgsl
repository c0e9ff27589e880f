// y[n, c] = Σ over (i, j) of x[n, i, j, c] / (kh·kw): one window an image, too large for one invocation.
// x [N, H, W, C], y [N, 1, 1, C]. A workgroup has eight channels of an image, eight invocations for each; invocation
// (k, l) sums places l, l + 8, … of channel k, then pairs are summed.
override blocks: u32;
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
//: use eight_sums

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group.x + group.y * groups.x;
    let channel = at % blocks * 8u + lane % 8u;
    let n = at / blocks;
    let inside = at < count && channel < c;
    var sum = 0.0;
    if inside {
        for (var p = lane / 8u; p < kh * kw; p += 8u) {
            sum += x[((n * h + p / kw) * w + p % kw) * c + channel];
        }
    }
    let all = eight_sum(lane, vec2f(sum, 0.0)).x;
    if lane < 8u && inside {
        y[n * c + channel] = all / f32(kh * kw);
    }
}
