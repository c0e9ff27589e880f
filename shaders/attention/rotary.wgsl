// y = x with the pairs (i, size/2 + i) of its first heads turned by the angles of the row's place, whose cosines and then sines a
// row of the table has.
// x, y [samples·places, width], table [rows, size]; the first `turned` columns are heads of `size`. An invocation owns an element.
override count: u32;
override width: u32;
override rows: u32;
override size: u32;
override turned: u32;
// Of the sine that the second of a pair has in the first: 1 turns back.
override sign: f32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let column = i % width;
    if column >= turned {
        y[i] = x[i];
        return;
    }
    let half = size / 2u;
    let d = column % size;
    let pair = d % half;
    let at = i / width % rows * size + pair;
    let is_first = d < half;
    let other = x[select(i - half, i + half, is_first)];
    y[i] = x[i] * table[at] + select(-sign, sign, is_first) * other * table[at + half];
}
