// As softmax_ce, or softmax_ce_weighted where weighted = 1, for many classes: with w[c] = scale[c], or 1 / (valid·places) without
// weights, t[c] = w[c]·((1 - smoothing)·[c = k] + smoothing / classes): loss[b] = -Σ t[c]·ln p[c], delta[b, c] = p[c]·Σ t - t[c],
// correct[b] = 1 where the first largest logit is k.
// logits, delta [batch, classes]; scale [classes]; labels, loss, correct [batch]. A workgroup owns a row, and an invocation of
// it every 64th class.
override weighted: u32;
//: use logits_given
//: use lane_sums
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<u32>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;
var<workgroup> largest: array<f32, 64>;
var<workgroup> of_largest: array<u32, 64>;

fn weight(c: u32, share: f32) -> f32 {
    if weighted == 1u {
        return scale[c];
    }
    return share;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let row = b * classes;
    var best = min(lane, classes - 1u);
    var most = logits[row + best];
    for (var c = lane + 64u; c < classes; c += 64u) {
        let x = logits[row + c];
        best = select(best, c, x > most);
        most = max(most, x);
    }
    largest[lane] = most;
    of_largest[lane] = best;
    workgroupBarrier();
    for (var i = 0u; i < 64u; i += 1u) {
        let x = largest[i];
        if x > most || (x == most && of_largest[i] < best) {
            most = x;
            best = of_largest[i];
        }
    }
    let k = labels[b];
    let rows = control.valid * places;
    let share = 1.0 / f32(max(rows, 1u));
    // Of exponentials, of what is spread over all classes, and of that by logits: beside the label's own share, whose part comes
    // at last, the small ones would be lost.
    let spread = smoothing / f32(classes);
    var sums = vec3f(0.0);
    for (var c = lane; c < classes; c += 64u) {
        let x = logits[row + c] - most;
        let t = weight(c, share) * spread;
        sums += vec3f(exp(x), t, t * x);
    }
    let sum = lane_sum(lane, 64u, sums.xy);
    let valid = b < rows && k != 0xffffffffu;
    let truth = select(0u, k, valid);
    let own = weight(truth, share) * (1.0 - smoothing);
    let near = lane_sum(lane, 64u, vec2f(sums.z, 0.0)).x + own * (logits[row + truth] - most);
    let all = sum.y + own;
    if lane == 0u {
        loss[b] = select(0.0, all * log(sum.x) - near, valid);
        correct[b] = u32(valid && best == k);
    }
    for (var c = lane; c < classes; c += 64u) {
        let p = exp(logits[row + c] - most) / sum.x;
        let t = weight(c, share) * spread + select(0.0, own, c == truth);
        delta[row + c] = select(0.0, p * all - t, valid);
    }
}
