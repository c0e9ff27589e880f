// The sum of `own` over the eight invocations of a workgroup of 64 that share lane % 8; summed by pairs, in one order. Every
// invocation must call it, once.
var<workgroup> eight_parts: array<vec2f, 64>;

fn eight_sum(lane: u32, own: vec2f) -> vec2f {
    eight_parts[lane] = own;
    workgroupBarrier();
    for (var half = 32u; half >= 8u; half /= 2u) {
        if lane < half {
            eight_parts[lane] += eight_parts[lane + half];
        }
        workgroupBarrier();
    }
    return eight_parts[lane % 8u];
}
