// Closes a step: step_log[step mod capacity] = (Σ loss, Σ correct, valid, fault, weight, targets), then the control block moves on
// to the next batch: step, place in the epoch, valid samples, Adam's 1 - β^t by c ← c + (1 - β)(1 - c).
// Where `schedule` is not 0 the rate of the next step t follows, counted from the end of the warm-up of w steps, T of the run:
//   base·(t + 1) / w within it, then 1: base·gamma^⌊t / every⌋; 2: down to base·end by wave(t / T); 3: up from base·start and down to
//   base·end by waves that meet at up·T - 1; wave(x) = (1 + cos πx) / 2.
// Where `accumulate` is above 1 rates and corrections count updates: one for every `accumulate` batches and one at an epoch's end.
// A kernel has the weight of the batch's mean loss in `weight_of`, and in `carried` what of it the update's next batch is to find;
// `targets` says how many targets count, where that is counted.
// loss, correct [batch]; fault [1], and 8 where the loss is NaN or infinite. One workgroup; invocation i sums rows i, i + 64, …, then pairs are summed.
override batch: u32;
override capacity: u32;
override rest1: f32;
override rest2: f32;
override schedule: u32;
override base: f32;
override warmup: u32;
override total: u32;
override every: u32;
override gamma: f32;
override up: f32;
override start: f32;
override end: f32;
override accumulate: u32 = 1u;

//: use control
@group(0) @binding(0) var<storage, read> loss: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<u32>;
@group(0) @binding(2) var<storage, read> fault: array<u32>;
@group(0) @binding(3) var<storage, read_write> control: Control;
@group(0) @binding(4) var<storage, read_write> step_log: array<f32>;

var<workgroup> sums: array<vec2f, 64>;

// (1 + sin(π/2 - πx)) / 2 by the sine's series up to the eleventh power, 6e-8 off at most: WGSL's cos may be 5e-4 off.
fn wave(x: f32) -> f32 {
    let z = 3.14159265358979 * (0.5 - min(x, 1.0));
    let s = z * z;
    let tail = 1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362880.0 - s / 39916800.0));
    return 0.5 + 0.5 * z * (1.0 + s * (-1.0 / 6.0 + s * tail));
}

// Updates before this batch; each batch makes one unless they are accumulated.
fn updates() -> u32 {
    if accumulate == 1u {
        return control.step;
    }
    let batches = (control.samples + batch - 1u) / batch;
    return control.epoch * ((batches + accumulate - 1u) / accumulate) + control.first / batch / accumulate;
}

fn rate(step: u32) -> f32 {
    if step < warmup {
        return base * (f32(step + 1u) / f32(warmup));
    }
    let t = f32(step - warmup);
    let all = f32(max(total, warmup + 1u) - warmup);
    if schedule == 2u {
        return base * (end + (1.0 - end) * wave(t / all));
    }
    if schedule == 3u {
        let top = up * all - 1.0;
        if t <= top {
            return base * (1.0 + (start - 1.0) * wave(t / max(top, 1e-20)));
        }
        return base * (end + (1.0 - end) * wave((t - top) / (all - 1.0 - top)));
    }
    var power = 1.0;
    var factor = gamma;
    for (var n = (step - warmup) / every; n > 0u; n /= 2u) {
        power *= select(1.0, factor, n % 2u == 1u);
        factor *= factor;
    }
    return base * power;
}

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
        let weight = weight_of(control.valid);
        let at = control.step % capacity * 6u;
        step_log[at] = sums[0].x;
        step_log[at + 1u] = sums[0].y;
        step_log[at + 2u] = f32(control.valid);
        step_log[at + 3u] = f32(found);
        step_log[at + 4u] = weight;
        step_log[at + 5u] = targets();
        let ends = control.first + control.valid >= control.samples;
        let is_update = ends || (control.first / batch + 1u) % accumulate == 0u;
        control.weight = select(carried(weight), 0.0, is_update);
        control.step += 1u;
        control.first += control.valid;
        if control.first >= control.samples {
            control.first = 0u;
            control.epoch += 1u;
        }
        control.valid = min(batch, control.samples - control.first);
        if is_update {
            control.correction1 += rest1 * (1.0 - control.correction1);
            control.correction2 += rest2 * (1.0 - control.correction2);
        }
        if schedule != 0u {
            control.rate = rate(updates());
        }
    }
}
