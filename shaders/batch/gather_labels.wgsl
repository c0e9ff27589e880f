// labels[b, p] = all_labels[s(b), p] for b < valid; zero beyond. s(b) is the sample at place first + b of the epoch's
// order: shuffled by (key, epoch), or as it comes; the same as that of `gather`, with a window or without.
// all_labels [samples, stride] bytes, labels [batch, places]. A workgroup owns a row, an invocation every 64th of its
// words of four bytes.
override batch: u32;
override places: u32;
override stride: u32;
override shuffle: u32;
override window: u32 = 0u;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> all_labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;

//: use random

fn sample(b: u32) -> u32 {
    var place = control.first + b;
    var count = control.samples;
    var order = control.epoch;
    var base = 0u;
    if window != 0u {
        // What is never reached must not divide by zero either.
        let rows = max(window, 1u);
        let chunk = control.first / rows;
        order = order * ((count - 1u) / rows + 1u) + chunk;
        place -= chunk * rows;
        count = min(rows, count - chunk * rows);
        base = order % 2u * rows;
    }
    if shuffle == 0u || b >= control.valid {
        return base + min(place, count - 1u);
    }
    let bits = 32u - countLeadingZeros(max(count, 2u) - 1u);
    let mask = 0xffffffffu >> (32u - bits);
    let salt = pcg(control.key ^ pcg(order));
    var i = place;
    loop {
        for (var round = 0u; round < 4u; round += 1u) {
            i = (i * (pcg(salt + 2u * round) | 1u) + pcg(salt + 2u * round + 1u)) & mask;
            i = i ^ (i >> ((bits + 1u) / 2u));
        }
        if i < count {
            break;
        }
    }
    return base + i;
}

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
