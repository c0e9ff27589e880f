// The skeleton of losses of each logit by itself, one invocation per row: a row's targets, which rows count, and what
// is right, are the file's own `target_of`, `counts`, `share` and `right_of`.
override batch: u32;
override classes: u32;
override places: u32;
override kind: u32;

@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<u32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;

// The loss l of a logit x against the target t, and its derivative; l by its number `kind` in the table of
// src/ops/loss/each.rs. exp sees no argument above 0.
fn terms(x: f32, t: f32) -> vec2f {
    let d = x - t;
    switch kind {
        case 0u: {
            let e = exp(-abs(x));
            let p = select(e, 1.0, x >= 0.0) / (1.0 + e);
            return vec2f(max(x, 0.0) - x * t + log(1.0 + e), p - t);
        }
        case 1u: { return vec2f(d * d, 2.0 * d); }
        case 2u: { return vec2f(select(abs(d) - 0.5, 0.5 * d * d, abs(d) <= 1.0), clamp(d, -1.0, 1.0)); }
        default: { return vec2f(0.0); }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    let rows = control.valid * places;
    let valid = b < rows && counts(b);
    let each = select(0.0, share(rows), valid);
    var most = logits[row];
    var best = 0u;
    var hits = 0u;
    var sum = 0.0;
    for (var first = 0u; first < classes; first += $(U)u) {
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let x = logits[row + c];
            best = select(best, c, x > most);
            most = max(most, x);
            let t = target_of(b, c);
            hits += u32((x > 0.0) == (t > 0.5));
            let found = terms(x, t);
            sum += found.x;
            delta[row + c] = found.y * each;
        }
        //: end
    }
    loss[b] = sum * each;
    correct[b] = select(0u, right_of(b, best, hits), valid);
}
