// With p = softmax(logits[b]), k = labels[b], o = other[b], λ = share[b] and
// t[c] = (1 - smoothing)·(λ·[c = k] + (1 - λ)·[c = o]) + smoothing / classes, for the rows b of the first `valid`
// samples, of `places` rows each (zero beyond, and where k or o is all bits one, a label that is ignored):
//   loss[b] = -Σ t[c]·ln p[c] / (valid·places), a row's share of the batch's mean loss;
//   correct[b] = 1 where the first largest logit is the label of the larger share, k where they are equal;
//   delta[b, c] = (p[c] - t[c]) / (valid·places).
// logits, delta [batch, classes]; labels, other, share, loss, correct [batch]. An invocation owns a row.
//: use logits
@group(0) @binding(3) var<storage, read> other: array<u32>;
@group(0) @binding(4) var<storage, read> share: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> correct: array<u32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    let top = largest(row);
    let most = top.value;
    let found = sums(row, most);
    let sum = found.x;
    let all = found.y;
    let k = labels[b];
    let o = other[b];
    let part = share[b];
    let rest = 1.0 - part;
    let rows = control.valid * places;
    let ignored = max(k, o) == 0xffffffffu;
    let valid = b < rows && !ignored;
    let each = select(0.0, 1.0 / f32(rows), valid);
    var near = part * (logits[row + select(k, 0u, ignored)] - most) + rest * (logits[row + select(o, 0u, ignored)] - most);
    if smoothing > 0.0 {
        near = (1.0 - smoothing) * near + smoothing * (all / f32(classes));
    }
    loss[b] = (log(sum) - near) * each;
    correct[b] = u32(valid && top.index == select(o, k, part >= 0.5));
    for (var first = 0u; first < classes; first += $(U)u) {
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let p = exp(logits[row + c] - most) / sum;
            let t = (1.0 - smoothing) * (part * f32(c == k) + rest * f32(c == o)) + smoothing / f32(classes);
            delta[row + c] = (p - t) * each;
        }
        //: end
    }
}
