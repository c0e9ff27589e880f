// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o] + bias[o],
// and max(·, 0) of it where relu = 1; x is zero outside the image. Where splits > 1, y[s, n, oh, ow, o] is the sum over the
// s-th part of the terms alone.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y [n, oh, ow, o] or [splits, n, oh, ow, o].
// A matrix product: a row is an output place, a term a tap and an input channel.
// A workgroup owns a tile of $(TM) × $(TN) outputs, an invocation $(TM/16) × $(TN/16) of them, 16 apart; 16 terms at a time
// pass through workgroup memory.
//: use window
override relu: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

fn a_at(place: u32, t: u32, end: u32) -> f32 {
    let tap = t / c;
    let row = (place / ow % oh) * sh + tap / kw - pt;
    let column = (place % ow) * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if place < n * oh * ow && t < end && row < h && column < w {
        return x[((place / (oh * ow) * h + row) * w + column) * c + t % c];
    }
    return 0.0;
}

fn b_at(t: u32, channel: u32, end: u32) -> f32 {
    if channel < o && t < end {
        return weights[t * o + channel];
    }
    return 0.0;
}

fn store(place: u32, channel: u32, sum: f32, split: u32) {
    if place < n * oh * ow && channel < o {
        if splits > 1u {
            y[(split * n * oh * ow + place) * o + channel] = sum;
            return;
        }
        let value = sum + bias[channel];
        y[place * o + channel] = select(value, max(value, 0.0), relu == 1u);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (o + $(TN - 1)u) / $(TN)u;
    let tiles = across * ((n * oh * ow + $(TM - 1)u) / $(TM)u);
    let split = group / tiles;
    if split >= splits {
        return;
    }
    let m0 = group % tiles / across * $(TM)u;
    let n0 = group % tiles % across * $(TN)u;
    let begin = split * per_split;
    let end = min(begin + per_split, kh * kw * c);
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
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    store(m0 + tm + $(16 * i)u, n0 + tn + $(16 * j)u, sum_$(i)_$(j), split);
    //: end
    //: end
}
