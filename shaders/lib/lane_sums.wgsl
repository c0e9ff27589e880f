// The sum of `own` over the `span` invocations, a power of two, that share lane / span; summed by pairs, in one order.
// Every invocation of the workgroup of 64 must call it.
var<workgroup> lane_parts: array<vec2f, 64>;

fn lane_sum(lane: u32, span: u32, own: vec2f) -> vec2f {
    workgroupBarrier();
    lane_parts[lane] = own;
    workgroupBarrier();
    for (var half = span / 2u; half > 0u; half /= 2u) {
        if lane % span < half {
            lane_parts[lane] += lane_parts[lane + half];
        }
        workgroupBarrier();
    }
    return lane_parts[lane / span * span];
}
