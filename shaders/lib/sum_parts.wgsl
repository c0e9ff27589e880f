// The sums of parts: element i of each of the `each` runs of partials [splits, each, count()], handed to
// store(i, q, sum) for run after run. A workgroup owns $(S) elements; $(P) invocations, 1 or 8, share out the parts of one,
// and the first adds up what they have. The file that uses this declares each, count() and store().
override splits: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
//: for shared in 0..P/8
var<workgroup> shares: array<f32, $(S * P)>;
//: end

@compute @workgroup_size($(S * P))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let i = (id.x + id.y * groups.x) * $(S)u + lane % $(S)u;
    for (var q = 0u; q < each; q += 1u) {
        var sum = 0.0;
        if i < count() {
            for (var s = lane / $(S)u; s < splits; s += $(P)u) {
                sum += partials[(s * each + q) * count() + i];
            }
        }
        //: for shared in 0..P/8
        workgroupBarrier();
        shares[lane] = sum;
        workgroupBarrier();
        //: end
        if lane < $(S)u && i < count() {
            //: for p in 1..P
            sum += shares[lane + $(p * S)u];
            //: end
            store(i, q, sum);
        }
    }
}
