// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the output places; the row behind the last tap has x = 1: the gradient of the bias.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// A matrix product: a row is a tap and an input channel, a term an output place.
// A workgroup owns a tile of $(TM) × $(TN) outputs, an invocation $(TM/16) × $(TN/16) of them, 16 apart; 16 terms at a time
// pass through workgroup memory.
//: use window
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

fn a_at(weight: u32, place: u32, end: u32) -> f32 {
    if place >= end || weight >= kh * kw * c {
        return select(0.0, 1.0, place < end && weight == kh * kw * c);
    }
    let tap = weight / c;
    let row = place / ow % oh * sh + tap / kw - pt;
    let column = place % ow * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if row < h && column < w {
        return x[((place / (oh * ow) * h + row) * w + column) * c + weight % c];
    }
    return 0.0;
}

fn b_at(place: u32, channel: u32, end: u32) -> f32 {
    if channel < o && place < end {
        return dy[place * o + channel];
    }
    return 0.0;
}

fn store(weight: u32, channel: u32, sum: f32, split: u32) {
    if weight <= kh * kw * c && channel < o {
        partials[(split * (kh * kw * c + 1u) + weight) * o + channel] = sum;
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (o + $(TN - 1)u) / $(TN)u;
    let tiles = across * (((kh * kw * c + 1u) + $(TM - 1)u) / $(TM)u);
    let split = group / tiles;
    if split >= splits {
        return;
    }
    let m0 = group % tiles / across * $(TM)u;
    let n0 = group % tiles % across * $(TN)u;
    let begin = split * per_split;
    let end = min(begin + per_split, (n * oh * ow));
    let tm = lane / 16u;
    let tn = lane % 16u;
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    for (var k0 = begin; k0 < end; k0 += 16u) {
        for (var e = lane; e < $(16 * TM)u; e += 256u) {
            let k = e / $(TM)u;
            let m = e % $(TM)u;
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
