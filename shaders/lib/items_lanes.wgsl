// A lanes kernel has `batch` products one after the other; `item` is the one at hand.
override batch: u32 = 1u;
var<private> item: u32;

fn parts() -> u32 { return batch; }
