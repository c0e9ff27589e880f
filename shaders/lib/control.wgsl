// The control block: all that changes from step to step. `Control` in src/step/control.rs, which a test holds it to.
struct Control {
    key: u32, step: u32, epoch: u32, first: u32, valid: u32, samples: u32,
    rate: f32, correction1: f32, correction2: f32, weight: f32, reserved: array<u32, 2>,
}
