// The gradients of several batches made one where losses have weights: w = batch_weight[0], the sum of the batch's weights.
//: use accumulate
@group(0) @binding(5) var<storage, read> batch_weight: array<f32>;

fn share_of(valid: u32) -> f32 {
    return batch_weight[0];
}

fn before(place: u32) -> f32 {
    return control.weight;
}
