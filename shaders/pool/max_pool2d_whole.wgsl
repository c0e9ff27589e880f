// y[n, c] = max over (i, j) of x[n, i, j, c], argmax = i·kw + j of the first largest: one window an image, too large
// for one invocation.
// x [N, H, W, C], y and argmax [N, 1, 1, C]. A workgroup has eight channels of an image, eight invocations for each;
// invocation (k, l) goes over places l, l + 8, … of channel k, then pairs are compared.
override blocks: u32;
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

var<workgroup> values: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

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
    // The window has more than eight places, so that every invocation has a first.
    var best = lane / 8u;
    var most = 0.0;
    if inside {
        most = x[((n * h + best / kw) * w + best % kw) * c + channel];
        for (var p = best + 8u; p < kh * kw; p += 8u) {
            let value = x[((n * h + p / kw) * w + p % kw) * c + channel];
            best = select(best, p, value > most);
            most = max(most, value);
        }
    }
    values[lane] = most;
    places[lane] = best;
    workgroupBarrier();
    for (var half = 32u; half >= 8u; half /= 2u) {
        if lane < half {
            let other = values[lane + half];
            let place = places[lane + half];
            if other > values[lane] || (other == values[lane] && place < places[lane]) {
                values[lane] = other;
                places[lane] = place;
            }
        }
        workgroupBarrier();
    }
    if lane < 8u && inside {
        y[n * c + channel] = values[lane];
        argmax[n * c + channel] = places[lane];
    }
}
