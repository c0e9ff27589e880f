// With t = targets[b], for the rows b of the first `valid` samples (zero beyond), and n = valid·classes:
//   loss[b] = Σ l(logits[b, c], t[c]) / n, a row's share of the batch's mean loss;
//   correct[b] = the number of c for which logits[b, c] > 0 just where t[c] > 1/2;
//   delta[b, c] = l'(logits[b, c], t[c]) / n.
// logits, targets, delta [batch, classes]; loss, correct [batch]. An invocation owns a row.
//: use control
//: use each_loss
@group(0) @binding(2) var<storage, read> targets: array<f32>;

fn target_of(b: u32, c: u32) -> f32 {
    return targets[b * classes + c];
}

fn counts(b: u32) -> bool {
    return true;
}

fn share(rows: u32) -> f32 {
    return 1.0 / (f32(rows) * f32(classes));
}

fn right_of(b: u32, best: u32, hits: u32) -> u32 {
    return hits;
}
