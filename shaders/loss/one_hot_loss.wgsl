// With t[c] = [c = labels[b]], for the rows b of the first `valid` samples, of `places` rows each (zero beyond), and
// n = valid·places·classes:
//   loss[b] = Σ l(logits[b, c], t[c]) / n, a row's share of the batch's mean loss;
//   correct[b] = 1 where the first largest logit is the label's;  delta[b, c] = l'(logits[b, c], t[c]) / n.
// l by its number `kind` in the table of src/ops/one_hot_loss.rs. exp sees no argument above 0.
// logits, delta [batch, classes]; labels, loss, correct [batch]. An invocation owns a row.
override batch: u32;
override classes: u32;
override places: u32;
override kind: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<u32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;

// l and its derivative.
fn terms(x: f32, t: f32) -> vec2f {
    let d = x - t;
    switch kind {
        case 0u: {
            let e = exp(-abs(x));
            let p = select(e, 1.0, x >= 0.0) / (1.0 + e);
            return vec2f(max(x, 0.0) - x * t + log(1.0 + e), p - t);
        }
        case 1u: { return vec2f(d * d, 2.0 * d); }
        case 2u: { return vec2f(select(abs(d) - 0.5, 0.5 * d * d, abs(d) <= 1.0), clamp(d, -1.0, 1.0)); }
        default: { return vec2f(0.0); }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    let k = labels[b];
    let rows = control.valid * places;
    let share = select(0.0, 1.0 / (f32(rows) * f32(classes)), b < rows);
    var most = logits[row];
    var best = 0u;
    var sum = 0.0;
    for (var c = 0u; c < classes; c += 1u) {
        let x = logits[row + c];
        best = select(best, c, x > most);
        most = max(most, x);
        let found = terms(x, f32(c == k));
        sum += found.x;
        delta[row + c] = found.y * share;
    }
    loss[b] = sum * share;
    correct[b] = u32(b < rows && best == k);
}
