// A convolution, ReLU and a 2 × 2 max pool in one: with z = conv2d(x, weights) + bias,
//   y[n, ph, pw, o] = max(0, max over p of z[n, 2·ph + p / 2, 2·pw + p % 2, o]);
//   argmax = the first p of the largest z, or 4 where the largest is not above 0.
// Where splits > 1, y[s, p, n, ph, pw, o] is the s-th part of the sum of place p.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y and argmax [n, ph, pw, o], or y [splits, 4, n, ph, pw, o].
// A matrix product: of each 64 rows, row 16·p + q is place p of window q.
override ph: u32;
override pw: u32;
//: use window
//: let A_TERMS = 1
//: let B_TERMS = 0
//: let A_SUMS = 0
//: let B_SUMS = 0
//: use gemm
//: use store_pool
@group(0) @binding(0) var<storage, read> x: array<Vector>;
@group(0) @binding(1) var<storage, read> weights: array<Vector>;

fn rows() -> u32 {
    return (n * ph * pw + 15u) / 16u * 64u;
}

fn columns() -> u32 {
    return o;
}

fn terms() -> u32 {
    return kh * kw * c;
}

fn window(row: u32) -> u32 {
    return row / 64u * 16u + row % 16u;
}

fn a_at(place: u32, t: u32, end: u32) -> Vector {
    let window = window(place);
    let p = place % 64u / 16u;
    let tap = t / c;
    let row = (window / pw % ph * 2u + p / 2u) * sh + tap / kw - pt;
    let column = (window % pw * 2u + p % 2u) * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if window < n * ph * pw && t < end && row < h && column < w {
        return x[(((window / (ph * pw) * h + row) * w + column) * c + t % c) / $(V)u];
    }
    return Vector();
}

fn b_at(t: u32, channel: u32, end: u32) -> Vector {
    if channel < o && t < end {
        return weights[(t * o + channel) / $(V)u];
    }
    return Vector();
}

fn store(place: u32, channel: u32, sum: f32, split: u32) {
    let at = window(place) * o + channel;
    let p = place % 64u / 16u;
    if window(place) >= n * ph * pw || channel >= o {
        return;
    }
    if splits > 1u {
        y[(split * 4u + p) * n * ph * pw * o + at] = sum;
    } else {
        pool(p, sum, at, channel);
    }
}
