// A convolution, ReLU and a 2 × 2 max pool in one: with z = conv2d(x, weights) + bias,
//   y[n, ph, pw, o] = max(0, max over p of z[n, 2·ph + p / 2, 2·pw + p % 2, o]);
//   argmax = the first p of the largest z, or 4 where the largest is not above 0.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y and argmax [n, ph, pw, o].
// A matrix product: of the 64 rows of a tile, row 16·p + q is place p of window q.
// A workgroup owns a tile of $(TM) × $(TN) outputs, an invocation 4 × $(TN/16) of them, 16 apart; 16 terms at a time
// pass through workgroup memory.
//: use window
override ph: u32;
override pw: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;

var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

fn a_at(place: u32, t: u32, end: u32) -> f32 {
    let window = place / 64u * 16u + place % 16u;
    let p = place % 64u / 16u;
    let tap = t / c;
    let row = (window / pw % ph * 2u + p / 2u) * sh + tap / kw - pt;
    let column = (window % pw * 2u + p % 2u) * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if window < n * ph * pw && t < end && row < h && column < w {
        return x[((window / (ph * pw) * h + row) * w + column) * c + t % c];
    }
    return 0.0;
}

fn b_at(t: u32, channel: u32, end: u32) -> f32 {
    if channel < o && t < end {
        return weights[t * o + channel];
    }
    return 0.0;
}

fn store(window: u32, channel: u32, z: vec4f) {
    if window < n * ph * pw && channel < o {
        var most = z[0];
        var best = 0u;
        //: for p in 1..4
        best = select(best, $(p)u, z[$p] > most);
        most = max(most, z[$p]);
        //: end
        most += bias[channel];
        y[window * o + channel] = max(most, 0.0);
        argmax[window * o + channel] = select(4u, best, most > 0.0);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (o + $(TN - 1)u) / $(TN)u;
    let m0 = group / across * $(TM)u;
    let n0 = group % across * $(TN)u;
    if m0 >= ((n * ph * pw + 15u) / 16u * 64u) {
        return;
    }
    let begin = 0u;
    let end = (kh * kw * c);
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
            let k = e / $(TN)u;
            let n = e % $(TN)u;
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
    //: for j in 0..TN/16
    store(m0 / 4u + tm, n0 + tn + $(16 * j)u, vec4f(sum_0_$(j), sum_1_$(j), sum_2_$(j), sum_3_$(j)));
    //: end
}
