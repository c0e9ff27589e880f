// Of sample b, with I = sums[b, 0], S = sums[b, 1] + sums[b, 2], the number n of its labels that count, and C classes:
//   its loss is 1/C · Σ (1 - 2·I[c] / S[c]) over the classes c that it has, and its share of the batch's mean is spread over
//   these n places; with `cross` 1 the mean cross-entropy of these places is added.
// Of place r of it, with p = exp(logits[r, c] - whole[r]), its label k, t = [c = k], and of classes that the sample has
// g[c] = 2·I[c] / (C·S[c]²) - 2·t / (C·S[c]), of others g[c] = 0:
//   delta[r, c] = p·(g[c] - Σ p·g) + cross·(p - t) / n, over the valid samples;  correct[r] = 1 where the first largest logit is k.
// All are zero beyond the valid samples and where k is ignored (all bits one).
// logits, delta [batch, places, classes]; labels, whole, loss, correct [batch, places]; sums [batch, 3, classes]. An invocation
// owns a place.
override batch: u32;
override places: u32;
override classes: u32;
override cross: f32;
//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> whole: array<f32>;
@group(0) @binding(4) var<storage, read> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> correct: array<u32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;

// The sum of probabilities and labels of class c, and twice their intersection over it; zeros where sample b lacks the class.
fn class_of(b: u32, c: u32) -> vec2f {
    let at = b * 3u * classes + c;
    let has = sums[at + 2u * classes];
    let size = sums[at + classes] + has;
    return select(vec2f(0.0), vec2f(size, 2.0 * sums[at] / max(size, 1.0)), has > 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let r = id.x + id.y * groups.x * 64u;
    if r >= batch * places {
        return;
    }
    let b = r / places;
    let row = r * classes;
    let k = labels[r];
    let counts = b < control.valid && k != 0xffffffffu;
    var best = 0u;
    var most = logits[row];
    var n = 0.0;
    var all = 0.0;
    var mean = 0.0;
    let share = 1.0 / f32(classes);
    for (var c = 0u; c < classes; c += 1u) {
        let x = logits[row + c];
        best = select(best, c, x > most);
        most = max(most, x);
        n += sums[(b * 3u + 2u) * classes + c];
        let dice = class_of(b, c);
        if dice.x > 0.0 {
            let g = (dice.y - 2.0 * f32(c == k)) * share / dice.x;
            all += 1.0 - dice.y;
            mean += exp(x - whole[r]) * g;
        }
    }
    let each = select(0.0, 1.0 / (f32(control.valid) * max(n, 1.0)), counts);
    let own = logits[row + min(k, classes - 1u)];
    loss[r] = (all * share + cross * (whole[r] - own)) * each;
    correct[r] = u32(counts && best == k);
    for (var c = 0u; c < classes; c += 1u) {
        let p = exp(logits[row + c] - whole[r]);
        let t = f32(c == k);
        let dice = class_of(b, c);
        var g = 0.0;
        if dice.x > 0.0 {
            g = (dice.y - 2.0 * t) * share / dice.x;
        }
        delta[row + c] = (n * p * (g - mean) + cross * (p - t)) * each;
    }
}
