// dx[n, r, s, c] = Σ_{i,j,o} dy[n, (r + pt - i) / sh, (s + pl - j) / sw, o] · weights[i, j, c, o], over the taps
// for which both quotients are whole and inside dy; where masked = 1, it is 0 where mask is not above 0. Where splits > 1,
// dx[p, n, r, s, c] is the sum over the p-th part of the terms alone.
// dy [n, oh, ow, o], weights [kh, kw, c, o], mask [n, h, w, c], dx [n, h, w, c] or [splits, n, h, w, c].
// A matrix product: a row is a pixel, a term a tap and an output channel.
// A workgroup owns a tile of $(TM) × $(TN) outputs, an invocation $(TM/16) × $(TN/16) of them, 16 apart; 16 terms at a time
// pass through workgroup memory.
//: use window
override masked: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

fn a_at(pixel: u32, t: u32, end: u32) -> f32 {
    let tap = t / o;
    let row = pixel / w % h + pt - tap / kw;
    let column = pixel % w + pl - tap % kw;
    // Before the image both wrap round; what they give then is beyond it too.
    if pixel < n * h * w && t < end && row % sh == 0u && column % sw == 0u && row / sh < oh && column / sw < ow {
        return dy[((pixel / (h * w) * oh + row / sh) * ow + column / sw) * o + t % o];
    }
    return 0.0;
}

fn b_at(t: u32, channel: u32, end: u32) -> f32 {
    if channel < c && t < end {
        return weights[(t / o * c + channel) * o + t % o];
    }
    return 0.0;
}

fn store(pixel: u32, channel: u32, sum: f32, split: u32) {
    if pixel < n * h * w && channel < c {
        if splits > 1u {
            dx[(split * n * h * w + pixel) * c + channel] = sum;
            return;
        }
        let kept = masked == 0u || mask[pixel * c + channel] > 0.0;
        dx[pixel * c + channel] = select(0.0, sum, kept);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (c + $(TN - 1)u) / $(TN)u;
    let tiles = across * ((n * h * w + $(TM - 1)u) / $(TM)u);
    let split = group / tiles;
    if split >= splits {
        return;
    }
    let m0 = group % tiles / across * $(TM)u;
    let n0 = group % tiles % across * $(TN)u;
    let begin = split * per_split;
    let end = min(begin + per_split, kh * kw * o);
    let tm = lane / 16u;
    let tn = lane % 16u;
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    for (var k0 = begin; k0 < end; k0 += 16u) {
        for (var e = lane; e < $(16 * TM)u; e += 256u) {
            let k = e % 16u;
            let m = e / 16u;
            tile_a[k * $(TM + 1)u + m] = a_at(m0 + m, k0 + k, end);
        }
        for (var e = lane; e < $(16 * TN)u; e += 256u) {
            let k = e % 16u;
            let n = e / 16u;
            tile_b[k * $(TN + 1)u + n] = b_at(k0 + k, n0 + n, end);
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k += 1u) {
            //: for i in 0..TM/16
            let a_$(i) = tile_a[k * $(TM + 1)u + tm + $(16 * i)u];
            //: end
            //: for j in 0..TN/16
            let b_$(j) = tile_b[k * $(TN + 1)u + tn + $(16 * j)u];
            //: end
            //: for i in 0..TM/16
            //: for j in 0..TN/16
            sum_$(i)_$(j) += a_$(i) * b_$(j);
            //: end
            //: end
        }
        workgroupBarrier();
    }
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    store(m0 + tm + $(16 * i)u, n0 + tn + $(16 * j)u, sum_$(i)_$(j), split);
    //: end
    //: end
}
