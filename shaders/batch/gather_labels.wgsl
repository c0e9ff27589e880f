// labels[b, p] = all_labels[s(b), p] for b < valid; zero beyond. s(b) is the sample at place first + b of the epoch's
// order: shuffled by (key, epoch), or as it comes; the same as that of `gather`, with a window or without.
// all_labels [samples, stride] bytes, labels [batch, places]. A workgroup owns a row, an invocation every 64th of its
// words of four bytes.
override batch: u32;
override places: u32;
override stride: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> all_labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;

//: use sample

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let first = sample(b) * (stride / 4u);
    for (var word = lane; word < stride / 4u; word += 64u) {
        let four = select(0u, all_labels[first + word], b < control.valid);
        for (var e = 0u; e < 4u; e += 1u) {
            let p = word * 4u + e;
            if p < places {
                labels[b * places + p] = (four >> (8u * e)) & 0xffu;
            }
        }
    }
}
