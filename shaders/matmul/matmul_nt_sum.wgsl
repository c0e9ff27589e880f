// y[i] = Σ_s partials[s, i], + bias[i % n] where biased = 1; max(·, 0) of it where relu = 1; 0 where masked = 1 and
// mask[i] is not above 0.
// partials [splits, count], bias [n], mask and y [count].
// A workgroup owns $(256/P) sums; $(P) invocations share out the parts of one, and the first adds up what they have.
override splits: u32;
override count: u32;
override n: u32;
override biased: u32;
override relu: u32;
override masked: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let i = (id.x + id.y * groups.x) * $(256/P)u + lane % $(256/P)u;
    var sum = 0.0;
    if i < count {
        for (var s = lane / $(256/P)u; s < splits; s += $(P)u) {
            sum += partials[s * count + i];
        }
    }
    shares[lane] = sum;
    workgroupBarrier();
    if lane >= $(256/P)u || i >= count {
        return;
    }
    //: for p in 1..P
    sum += shares[lane + $(p * (256/P))u];
    //: end
    if biased == 1u {
        sum += bias[i % n];
    }
    let kept = masked == 0u || mask[i] > 0.0;
    y[i] = select(0.0, select(sum, max(sum, 0.0), relu == 1u), kept);
}
