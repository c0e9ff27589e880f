// Closes a step: step_log[step mod capacity] = (Σ loss, Σ correct, valid, fault), then the control block moves on
// to the next batch: step, place in the epoch, valid samples, Adam's 1 - β^t by c ← c + (1 - β)(1 - c).
// loss, correct [batch]; fault [1], and 8 where the loss is NaN or infinite. One workgroup; invocation i sums rows i, i + 64, …, then pairs are summed.
override batch: u32;
override capacity: u32;
override rest1: f32;
override rest2: f32;

struct Control {
    key: u32, step: u32, epoch: u32, first: u32, valid: u32, samples: u32,
    rate: f32, correction1: f32, correction2: f32, reserved: array<u32, 3>,
}
@group(0) @binding(0) var<storage, read> loss: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<u32>;
@group(0) @binding(2) var<storage, read> fault: array<u32>;
@group(0) @binding(3) var<storage, read_write> control: Control;
@group(0) @binding(4) var<storage, read_write> step_log: array<vec4f>;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = vec2f(0.0);
    for (var b = lane; b < batch; b += 64u) {
        sum += vec2f(loss[b], f32(correct[b]));
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        // Of words, not of floats, which compilers may take for finite.
        let wild = (bitcast<u32>(sums[0].x) & 0x7f800000u) == 0x7f800000u;
        let found = fault[0] | select(0u, 8u, wild);
        step_log[control.step % capacity] = vec4f(sums[0], f32(control.valid), f32(found));
        control.step += 1u;
        control.first += control.valid;
        if control.first >= control.samples {
            control.first = 0u;
            control.epoch += 1u;
        }
        control.valid = min(batch, control.samples - control.first);
        control.correction1 += rest1 * (1.0 - control.correction1);
        control.correction2 += rest2 * (1.0 - control.correction2);
    }
}
