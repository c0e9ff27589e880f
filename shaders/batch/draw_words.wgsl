// x[b, e] = stored[s(b), e] for b < valid, all bits one where that is `ignored`; zero beyond. s(b) is the sample of row b,
// see lib/sample.
// stored [samples, stride] bytes, elements of the type `kind`: 0 u8, 1 u16, 2 u32; x [batch, elements] words. A workgroup
// owns a row, an invocation every 64th element.
override batch: u32;
override elements: u32;
override stride: u32;
override kind: u32 = 0u;
override ignored: u32 = 0xffffffffu;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> stored: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

//: use sample

fn element(s: u32, e: u32) -> u32 {
    let row = s * stride;
    switch kind {
        case 0u: { return (stored[(row + e) / 4u] >> ((row + e) % 4u * 8u)) & 0xffu; }
        case 1u: { return (stored[(row + e * 2u) / 4u] >> (e % 2u * 16u)) & 0xffffu; }
        default: { return stored[row / 4u + e]; }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let s = sample(b);
    for (var e = lane; e < elements; e += 64u) {
        let word = element(s, e);
        x[b * elements + e] = select(0u, select(word, 0xffffffffu, word == ignored), b < control.valid);
    }
}
