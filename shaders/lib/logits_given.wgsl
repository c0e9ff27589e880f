// Rows of logits [batch, classes] and their labels, `places` rows of each sample.
override batch: u32;
override classes: u32;
override places: u32 = 1;
override smoothing: f32 = 0.0;
//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
