// x[b, e] = stored[s(b), e] for b < valid, all bits one where that is `ignored`; zero beyond. s(b) is the sample of row b,
// see lib/sample.
// stored [samples, stride] bytes, see lib/stored; x [batch, elements] words. A workgroup
// owns a row, an invocation every 64th element.
override ignored: u32 = 0xffffffffu;

//: use stored
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let s = sample(b);
    for (var e = lane; e < elements; e += 64u) {
        let label = word(s, e);
        x[b * elements + e] = select(0u, select(label, 0xffffffffu, label == ignored), b < control.valid);
    }
}
