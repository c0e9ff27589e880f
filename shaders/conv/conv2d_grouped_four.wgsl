// y[n, oh, ow, o] = bias[o] + Σ_{i,j,k} x[n, oh·sh + i·dilation_h - pt, ow·sw + j·dilation_w - pl, o / outer · inner + k]
// · weights[i, j, k, o], and the activation of it; x is zero outside the image. A group has `inner` channels of
// x and `outer`, a multiple of four, of y.
// x [n, h, w, c], weights [kh, kw, inner, o], bias [o], y [n, oh, ow, o]. An invocation owns four outputs of a group, as a
// vector, at each of four places side by side in a row.
//: use grouped
//: use activation
override biased: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// Channel of a pixel of the row that begins at element `first`; 0 outside the image.
fn pixel(first: u32, column: u32, channel: u32) -> f32 {
    if column < w {
        return x[first + column * c + channel];
    }
    return 0.0;
}

fn store(at: u32, vector: u32, column: u32, sum: vec4f) {
    if column < ow {
        y[(at + column) * (o / 4u) + vector] = activated(sum);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    let vectors = o / 4u;
    let fours = (ow + 3u) / 4u;
    if e >= n * oh * fours * vectors {
        return;
    }
    let vector = e % vectors;
    let left = e / vectors % fours * 4u;
    let line = e / (vectors * fours);
    let first = 4u * vector / outer * inner;
    var sum_0 = select(vec4f(0.0), bias[vector], biased == 1u);
    var sum_1 = sum_0;
    var sum_2 = sum_0;
    var sum_3 = sum_0;
    for (var i = 0u; i < kh; i += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = line % oh * sh + i * dilation_h - pt;
        if row >= h {
            continue;
        }
        let begin = (line / oh * h + row) * w * c;
        for (var j = 0u; j < kw; j += 1u) {
            let column = left * sw + j * dilation_w - pl;
            let tap = (i * kw + j) * inner * vectors + vector;
            for (var k = 0u; k < inner; k += 1u) {
                let weight = weights[tap + k * vectors];
                sum_0 += pixel(begin, column, first + k) * weight;
                sum_1 += pixel(begin, column + sw, first + k) * weight;
                sum_2 += pixel(begin, column + 2u * sw, first + k) * weight;
                sum_3 += pixel(begin, column + 3u * sw, first + k) * weight;
            }
        }
    }
    let at = line * ow;
    store(at, vector, left, sum_0);
    store(at, vector, left + 1u, sum_1);
    store(at, vector, left + 2u, sum_2);
    store(at, vector, left + 3u, sum_3);
}
