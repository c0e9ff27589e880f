// y[b] = λ·x[b] + (1 - λ)·x[o], other[b] = labels[o], share[b] = λ, with o = valid - 1 - b, for b < valid; beyond it y = x,
// other = 0 and share = 1. 1 - λ is drawn by (key, step, b) as the quantile u / 2 of a distribution on [0, 1] that is the same
// from both ends, linear between `quantiles`, which are evenly spaced over 0 ≤ u ≤ 1.
// x, y [batch, pixels], labels, other, share [batch], quantiles [cells + 1]. An invocation owns four elements of y, and what
// is to be said of the rows that begin in them.
override count: u32;
override batch: u32;
override pixels: u32;
override salt: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> quantiles: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> other: array<u32>;
@group(0) @binding(6) var<storage, read_write> share: array<f32>;

//: use random

// 1 - λ of a row.
fn rest(b: u32) -> f32 {
    if b >= control.valid {
        return 0.0;
    }
    let bits = pcg(b ^ pcg(control.step ^ pcg(control.key ^ salt)));
    let low = quantiles[bits >> 24u];
    return low + f32(bits & 0xffffffu) * (1.0 / 16777216.0) * (quantiles[(bits >> 24u) + 1u] - low);
}

fn partner(b: u32) -> u32 {
    return select(b, control.valid - 1u - b, b < control.valid);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v * 4u >= count {
        return;
    }
    var value = x[v];
    if pixels % 4u == 0u {
        let b = v * 4u / pixels;
        let r = rest(b);
        // Not 0 where a row has fewer than four: the compiler divides by it before it knows that this is not reached.
        let fours = max(pixels / 4u, 1u);
        value = (1.0 - r) * value + r * x[partner(b) * fours + v % fours];
    } else {
        for (var e = 0u; e < 4u; e += 1u) {
            let i = v * 4u + e;
            let b = i / pixels;
            if b < control.valid {
                let r = rest(b);
                let j = partner(b) * pixels + i % pixels;
                value[e] = (1.0 - r) * value[e] + r * x[j / 4u][j % 4u];
            }
        }
    }
    y[v] = value;
    for (var e = 0u; e < 4u; e += 1u) {
        let i = v * 4u + e;
        let b = i / pixels;
        if i % pixels == 0u && b < batch {
            other[b] = select(0u, labels[partner(b)], b < control.valid);
            share[b] = 1.0 - rest(b);
        }
    }
}
