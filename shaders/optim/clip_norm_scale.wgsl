// What the gradients are multiplied by: scale = min(1, limit / (√(Σ squares) + 1e-6)); NaN where the sum is not a number.
// squares [count], at most 256; scale [1]. One workgroup: an invocation takes one of them, then pairs are summed.
override count: u32;
override limit: f32;

@group(0) @binding(0) var<storage, read> squares: array<f32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    sums[lane] = 0.0;
    if lane < count {
        sums[lane] = squares[lane];
    }
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        // By words: neither min of NaN nor a test of floats can be relied on. An infinite sum would clip all to nothing.
        let bits = bitcast<u32>(sums[0]);
        let factor = min(1.0, limit / (sqrt(sums[0]) + 1e-6));
        let wild = (bits & 0x7f800000u) == 0x7f800000u;
        scale[0] = bitcast<f32>(select(bitcast<u32>(factor), bits | 0x7fc00000u, wild));
    }
}
