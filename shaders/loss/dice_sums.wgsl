// Of sample b, over its places r whose label k is not ignored (all bits one), with p = exp(logits[b, r, c] - whole[b, r]):
// sums[b, 0, c] = Σ p where k = c, sums[b, 1, c] = Σ p, sums[b, 2, c] = the number of labels k = c.
// logits [batch, places, classes], labels, whole [batch, places], sums [batch, 3, classes]. A workgroup owns a class of a sample;
// invocation i sums the places i, i + 256, …, then pairs are summed.
override batch: u32;
override places: u32;
override classes: u32;
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> whole: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

var<workgroup> parts: array<vec3f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let owned = group.x + group.y * groups.x;
    let b = owned / classes;
    let c = owned % classes;
    var sum = vec3f(0.0);
    if b < batch {
        for (var r = b * places + lane; r < (b + 1u) * places; r += 256u) {
            let k = labels[r];
            if k != 0xffffffffu {
                let p = exp(logits[r * classes + c] - whole[r]);
                sum += select(vec3f(0.0, p, 0.0), vec3f(p, p, 1.0), k == c);
            }
        }
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    if lane < 3u && b < batch {
        sums[(b * 3u + lane) * classes + c] = parts[0][lane];
    }
}
