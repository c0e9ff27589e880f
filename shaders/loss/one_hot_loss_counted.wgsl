// one_hot_loss with n = classes / scale[0] in place of valid·places·classes: scale [classes] holds one over the number of
// targets that are not ignored, so that the mean is over these.
// logits, delta [batch, classes]; labels, loss, correct [batch]. An invocation owns a row.
//: use control
//: use each_loss
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(6) var<storage, read> scale: array<f32>;

fn target_of(b: u32, c: u32) -> f32 {
    return f32(c == labels[b]);
}

fn counts(b: u32) -> bool {
    return labels[b] != 0xffffffffu;
}

fn share(rows: u32) -> f32 {
    return scale[0] / f32(classes);
}

fn right_of(b: u32, best: u32, hits: u32) -> u32 {
    return u32(best == labels[b]);
}
