// x[b, t] = the token at place (s(b)·T + t + phase) mod R·T of a stream, next[b, t] = the one after it, for b < valid; zero
// beyond. All bits are one if there is none: a token that is `ignored`, and what is beyond the stream's last of `tokens`.
// s(b) is the sample of row b; in tracks, where each row has its own part of the stream, the first ones a window more, the next
// window of row b's part; the phase is the epoch's own, below T, where the order is shuffled, else 0.
// stored [R, stride] bytes, T = `elements` tokens a row, see lib/stored; x, next [batch, T] words. A workgroup owns a row, an
// invocation every 64th place.
override ignored: u32 = 0xffffffffu;
override tokens: u32;
override rows: u32;
override tracks: u32 = 0u;

//: use stored
@group(0) @binding(2) var<storage, read_write> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<u32>;

fn token(place: u32) -> u32 {
    let found = word(place / elements, place % elements);
    return select(found, 0xffffffffu, found == ignored);
}

fn window_of(b: u32) -> u32 {
    if tracks == 0u {
        return sample(b);
    }
    return b * (control.samples / batch) + min(b, control.samples % batch) + control.first / batch;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let first = window_of(b) * elements + select(0u, pcg(control.key ^ pcg(~control.epoch)) % elements, shuffle != 0u);
    for (var t = lane; t < elements; t += 64u) {
        let place = (first + t) % (rows * elements);
        var here = 0xffffffffu;
        var after = 0xffffffffu;
        if place < tokens {
            here = token(place);
        }
        if place + 1u < tokens {
            after = token(place + 1u);
        }
        let valid = b < control.valid;
        x[b * elements + t] = select(0u, here, valid);
        next[b * elements + t] = select(0u, after, valid);
    }
}
