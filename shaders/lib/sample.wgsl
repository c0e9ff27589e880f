// The sample of row b, in a window its row there: place first + b of the epoch's order, which is shuffled by (key, epoch), or
// as it comes where shuffle = 0. With a window the epoch's places fall into chunks of `window` samples, and a batch into one
// of them: its even chunks, counted from the start of the run, are rows 0 to window - 1, its odd ones window to 2·window - 1,
// each shuffled by (key, its number). `sample` in src/ops/batch/draw.rs. The file that uses this binds `control`.
override shuffle: u32;
override window: u32 = 0u;
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
