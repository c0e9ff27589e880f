// scale[c] = weights[c] / Σ weights[labels[b]] over the rows b of the first `valid` samples, of `places` rows each, whose
// label is not ignored (all bits one); zero where that sum is zero.
// labels [batch], weights, scale [classes], total [2] = the sum and how many terms it has. One workgroup; invocation i sums rows i, i + 256, …, `part` at a time
// and then these sums, so that little is lost of the last; then pairs are summed.
override batch: u32;
override classes: u32;
override places: u32;
override part: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> total: array<f32>;

var<workgroup> sums: array<f32, 256>;
var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let rows = min(batch, control.valid * places);
    var sum = 0.0;
    var count = 0u;
    for (var first = lane; first < rows; first += 256u * part) {
        var few = 0.0;
        let end = min(rows, first + 256u * part);
        for (var b = first; b < end; b += 256u) {
            let k = labels[b];
            few += select(weights[min(k, classes - 1u)], 0.0, k == 0xffffffffu);
            count += select(1u, 0u, k == 0xffffffffu);
        }
        sum += few;
    }
    sums[lane] = sum;
    counts[lane] = count;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
            counts[lane] += counts[lane + half];
        }
        workgroupBarrier();
    }
    let all = sums[0];
    if lane == 0u {
        total[0] = all;
        total[1] = f32(counts[0]);
    }
    for (var c = lane; c < classes; c += 256u) {
        scale[c] = select(0.0, weights[c] / all, all > 0.0);
    }
}
