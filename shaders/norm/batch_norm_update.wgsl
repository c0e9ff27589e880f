// With n = valid · places, where n > 1 (else both stay):
//   running_mean ← (1 - momentum)·running_mean + momentum·mean;
//   running_var ← (1 - momentum)·running_var + momentum·variance·n / (n - 1).
// All [channels]; an invocation owns a channel.
override channels: u32;
override places: u32;
override momentum: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_var: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let c = id.x + id.y * groups.x * 64u;
    let rows = control.valid * places;
    if c >= channels || rows < 2u {
        return;
    }
    let unbiased = variance[c] * (f32(rows) / f32(rows - 1u));
    running_mean[c] = (1.0 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1.0 - momentum) * running_var[c] + momentum * unbiased;
}
