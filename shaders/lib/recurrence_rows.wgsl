// The rows of a recurrence and its steps, and what its cells are made of. The file that uses this declares `alias Units`, one
// unit of a state or a vector of four; `units` counts these.
// Step s of a row is at its place s or, backwards, at its place valid - 1 - s; beyond its valid places nothing happens.
override batch: u32;
override steps: u32;
override units: u32;
override kind: u32;
override backwards: u32;
override ragged: u32;
// A workgroup has `each` of the `blocks` of units, and takes them through `span` steps.
override each: u32;
override blocks: u32;
override span: u32;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;
@group(0) @binding(2) var<storage, read> time: array<u32>;

// Numbers of each gate: kind 0 is rnn with tanh, 1 rnn with relu, 2 gru (r, z, n), 3 lstm (i, f, g, o).
struct Gates {
    a: Units,
    b: Units,
    c: Units,
    d: Units,
}

fn valid_of(b: u32) -> u32 {
    if ragged == 1u {
        return min(lengths[b], steps);
    }
    return steps;
}

fn place(s: u32, valid: u32) -> u32 {
    return select(s, valid - 1u - s, backwards == 1u && s < valid);
}

fn sigmoid_of(x: Units) -> Units {
    let e = exp(-abs(x));
    return select(e, Units(1.0), x >= Units(0.0)) / (1.0 + e);
}

fn tanh_of(x: Units) -> Units {
    let e = exp(-2.0 * abs(x));
    let t = (1.0 - e) / (1.0 + e);
    return select(t, -t, x < Units(0.0));
}
