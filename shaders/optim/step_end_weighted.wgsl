// Closes a step whose mean loss weighs batch_weight[0], the sum of the weights of its batch_weight[1] targets; the control
// block carries the sum over the batches of an update.
//: use step_end
@group(0) @binding(5) var<storage, read> batch_weight: array<f32>;

fn weight_of(valid: u32) -> f32 {
    return batch_weight[0];
}

fn carried(weight: f32) -> f32 {
    return control.weight + weight;
}

fn targets() -> f32 {
    return batch_weight[1];
}
