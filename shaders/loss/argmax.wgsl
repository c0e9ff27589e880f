// y[b] = the first c of the largest x[b, c].
// x [batch, classes], y [batch]. An invocation owns a row.
override batch: u32;
override classes: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    let row = b * classes;
    var most = x[row];
    var best = 0u;
    for (var first = 1u; first < classes; first += $(U)u) {
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let value = x[row + c];
            best = select(best, c, value > most);
            most = max(most, value);
        }
        //: end
    }
    y[b] = best;
}
