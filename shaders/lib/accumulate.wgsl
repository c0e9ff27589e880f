// Gradients of `every` batches, the last of an epoch fewer, become one: s ← (s, or 0 in the first of them) + w·g, and in the
// last of them g ← s / Σw, or 0 where that is 0. A kernel has w in `share_of` and the sum of those before in `before`.
// sum, grads [count] vectors of four, in place; an invocation owns one. The first also writes the control block of the
// update: step counts updates, valid is 0 but in the last batch, where it is the samples of all of them.
// fault [1] gets bit 1 for NaN or infinity in g.
override count: u32;
override batch: u32;
override every: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> of_update: Control;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

//: use wild

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let place = control.first / batch % every;
    let is_last = place + 1u == every || control.first + control.valid >= control.samples;
    let share = share_of(control.valid);
    let g = grads[i];
    var s = share * g;
    if place > 0u {
        s += sum[i];
    }
    sum[i] = s;
    if is_last {
        let all = before(place) + share;
        grads[i] = select(vec4f(0.0), s / all, all > 0.0);
    }
    if wild(g) {
        atomicOr(&fault[0], 1u);
    }
    if i == 0u {
        let batches = (control.samples + batch - 1u) / batch;
        let updates = (batches + every - 1u) / every;
        of_update = control;
        of_update.step = control.epoch * updates + control.first / batch / every;
        of_update.valid = select(0u, place * batch + control.valid, is_last);
    }
}
