// The sums of the parts of y [rows, columns], with what becomes of them: finished(sum, place, column), which the file that uses
// this takes in.
override elements: u32;
override columns: u32;
const each = 1u;
//: use sum_parts
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn count() -> u32 {
    return elements;
}

fn store(i: u32, q: u32, sum: f32) {
    y[i] = finished(sum, i, i % columns);
}
