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
        // Eight places at a time: a long sum loses with every term, and llvmpipe leaves a loop after 65,535 rounds.
        for (var first = lane / 8u; first < kh * kw; first += 64u) {
            var part = 0.0;
            //: for u in 0..8
            {
                let p = first + $(8 * u)u;
                if p < kh * kw {
                    part += x[((n * h + p / kw) * w + p % kw) * c + channel];
                }
            }
            //: end
            sum += part;
        }
    }
    let all = eight_sum(lane, vec2f(sum, 0.0)).x;
    if lane < 8u && inside {
        y[n * c + channel] = all / f32(kh * kw);
    }
}
