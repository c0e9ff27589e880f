// With p = softmax(logits[b]), k = labels[b] and t[c] = scale[c]·((1 - smoothing)·[c = k] + smoothing / classes), where
// scale is a class's weight over the batch's sum of its labels' weights, for the rows b of the first `valid` samples,
// of `places` rows each (zero beyond, and where k is all bits one, a label that is ignored):
//   loss[b] = -Σ t[c]·ln p[c], a row's share of the batch's mean loss;
//   correct[b] = 1 where the first largest logit is k;  delta[b, c] = p[c]·Σ t - t[c].
// logits, delta [batch, classes]; scale [classes]; labels, loss, correct [batch]. An invocation owns a row.
//: use logits
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<u32>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    let top = largest(row);
    let most = top.value;
    let k = labels[b];
    var sum = 0.0;
    var all = 0.0;
    var near = 0.0;
    for (var first = 0u; first < classes; first += $(U)u) {
        // exp, weight and share of logit of a round's classes.
        var part = vec3f(0.0);
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let x = logits[row + c] - most;
            let t = scale[c] * ((1.0 - smoothing) * f32(c == k) + smoothing / f32(classes));
            part += vec3f(exp(x), t, t * x);
        }
        //: end
        sum += part.x;
        all += part.y;
        near += part.z;
    }
    let valid = b < control.valid * places && k != 0xffffffffu;
    loss[b] = select(0.0, all * log(sum) - near, valid);
    correct[b] = u32(valid && top.index == k);
    for (var first = 0u; first < classes; first += $(U)u) {
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let p = exp(logits[row + c] - most) / sum;
            let t = scale[c] * ((1.0 - smoothing) * f32(c == k) + smoothing / f32(classes));
            delta[row + c] = select(0.0, p * all - t, valid);
        }
        //: end
    }
}
