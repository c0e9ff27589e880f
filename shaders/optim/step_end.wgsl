// Closes a step whose mean loss weighs as many samples as the batch has.
//: use step_end

fn weight_of(valid: u32) -> f32 {
    return f32(valid);
}

fn carried(weight: f32) -> f32 {
    return 0.0;
}

fn targets() -> f32 {
    return 0.0;
}
