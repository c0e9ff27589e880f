// y[b] = the first t with tokens[b, t] all bits one, or `times` if there is none.
// tokens [batch, times], y [batch]; an invocation owns a row, and reads four tokens a round.
override batch: u32;
override times: u32;
@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b >= batch {
        return;
    }
    var first = times;
    for (var t = 0u; t < times; t += 4u) {
        //: for k in 0..4
        let t_$(k) = min(t + $(k)u, times - 1u);
        first = select(first, min(first, t_$(k)), tokens[b * times + t_$(k)] == 0xffffffffu);
        //: end
    }
    y[b] = first;
}
