// y[b] = colour(x[b]) for b < valid, and x[b] beyond: with v = (x - shift) / size in 0 to 1, c3 = clip to 0 to 1 and grey = 0.2989 r
// + 0.587 g + 0.114 b, first v = c3(f0·v), then v = c3(f1·v + (1 - f1)·mean of grey), v = c3(f2·v + (1 - f2)·grey), and the
// hue moved by f3 turns; y = size·v + shift. f0, f1, f2 = low + span·u and f3 = turn·(2u - 1) with u evenly from 0 to 1, by (key,
// step, b). Of one channel grey is v itself, and neither the third nor the hue changes anything.
// x, y [batch, pixels, channels]. A workgroup owns row b, an invocation every 64th pixel.
override batch: u32;
override pixels: u32;
override channels: u32;
override size: f32;
override smaller: f32;
override shift: f32;
override low0: f32;
override span0: f32;
override low1: f32;
override span1: f32;
override low2: f32;
override span2: f32;
override turn: f32;
override salt: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

//: use random

var<workgroup> sums: array<f32, 64>;

// Evenly from 0 to 1, 23 bits, exact.
fn share(bits: u32) -> f32 {
    return (f32(bits >> 9u) + 0.5) * (1.0 / 8388608.0);
}

fn grey(v: vec3f) -> f32 {
    if channels == 1u {
        return v.x;
    }
    return 0.2989 * v.x + 0.587 * v.y + 0.114 * v.z;
}

// Pixel p of row b, made lighter or darker; a single channel three times.
fn brightened(b: u32, p: u32, f: f32) -> vec3f {
    let at = (b * pixels + p) * channels;
    var v = vec3f(x[at]);
    if channels == 3u {
        v.y = x[at + 1u];
        v.z = x[at + 2u];
    }
    v = (v - vec3f(shift)) * smaller;
    return clamp(f * v, vec3f(0.0), vec3f(1.0));
}

fn hue(v: vec3f, f: f32) -> vec3f {
    let most = max(v.x, max(v.y, v.z));
    let range = most - min(v.x, min(v.y, v.z));
    let away = (vec3f(most) - v) / select(range, 1.0, range == 0.0);
    var sixths = 4.0 + away.y - away.x;
    if v.x == most {
        sixths = away.z - away.y;
    } else if v.y == most {
        sixths = 2.0 + away.x - away.z;
    }
    let t = vec3f(5.0, 3.0, 1.0) + vec3f(sixths + 6.0 * f);
    let k = t - 6.0 * floor(t / 6.0);
    return vec3f(most) - range * clamp(min(k, vec3f(4.0) - k), vec3f(0.0), vec3f(1.0));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    let inside = b < batch;
    let is_valid = b < control.valid && inside;
    let key = pcg(b ^ pcg(control.step ^ pcg(control.key ^ salt)));
    let f0 = low0 + span0 * share(pcg(key));
    let f1 = low1 + span1 * share(pcg(key + 1u));
    let f2 = low2 + span2 * share(pcg(key + 2u));
    let turned = turn * (2.0 * share(pcg(key + 3u)) - 1.0);
    var sum = 0.0;
    if is_valid && span1 != 0.0 {
        for (var p = lane; p < pixels; p += 64u) {
            sum += grey(brightened(b, p, f0));
        }
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if !inside {
        return;
    }
    let mean = sums[0] / f32(pixels);
    for (var p = lane; p < pixels; p += 64u) {
        let at = (b * pixels + p) * channels;
        if !is_valid {
            for (var c = 0u; c < channels; c += 1u) {
                y[at + c] = x[at + c];
            }
            continue;
        }
        var v = brightened(b, p, f0);
        v = clamp(f1 * v + vec3f((1.0 - f1) * mean), vec3f(0.0), vec3f(1.0));
        if channels == 3u {
            v = clamp(f2 * v + vec3f((1.0 - f2) * grey(v)), vec3f(0.0), vec3f(1.0));
            if turn != 0.0 {
                v = hue(v, turned);
            }
        }
        v = v * size + vec3f(shift);
        y[at] = v.x;
        if channels == 3u {
            y[at + 1u] = v.y;
            y[at + 2u] = v.z;
        }
    }
}
