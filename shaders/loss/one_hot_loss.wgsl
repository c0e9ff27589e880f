// With t[c] = [c = labels[b]], for the rows b of the first `valid` samples, of `places` rows each (zero beyond, and where
// labels[b] is all bits one, a label that is ignored), and n = valid·places·classes:
//   loss[b] = Σ l(logits[b, c], t[c]) / n, a row's share of the batch's mean loss;
//   correct[b] = 1 where the first largest logit is the label's;  delta[b, c] = l'(logits[b, c], t[c]) / n.
// logits, delta [batch, classes]; labels, loss, correct [batch]. An invocation owns a row.
//: use control
//: use each_loss
@group(0) @binding(2) var<storage, read> labels: array<u32>;

fn target_of(b: u32, c: u32) -> f32 {
    return f32(c == labels[b]);
}

fn counts(b: u32) -> bool {
    return labels[b] != 0xffffffffu;
}

fn share(rows: u32) -> f32 {
    return 1.0 / (f32(rows) * f32(classes));
}

fn right_of(b: u32, best: u32, hits: u32) -> u32 {
    return u32(best == labels[b]);
}
