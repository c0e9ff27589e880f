// loss[b] = Σ losses[b, p], correct[b] = Σ corrects[b, p]: what the rows of a sample add up to.
// losses, corrects [batch, places]; loss, correct [batch]. A workgroup owns a sample; invocation i sums the places i,
// i + 64, …, 256 of them at a time and then these sums, since a long sum loses with every term; then pairs are summed.
override batch: u32;
override places: u32;
@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> corrects: array<u32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> correct: array<u32>;

var<workgroup> sums: array<f32, 64>;
var<workgroup> counts: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    var sum = 0.0;
    var count = 0u;
    if b < batch {
        for (var first = lane; first < places; first += 16384u) {
            var run = 0.0;
            for (var p = first; p < min(places, first + 16384u); p += 64u) {
                run += losses[b * places + p];
                count += corrects[b * places + p];
            }
            sum += run;
        }
    }
    sums[lane] = sum;
    counts[lane] = count;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
            counts[lane] += counts[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u && b < batch {
        loss[b] = sums[0];
        correct[b] = counts[0];
    }
}
