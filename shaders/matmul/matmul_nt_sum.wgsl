// y[i] = Σ_s partials[s, i], then what lib/epilogue makes of it.
// partials [splits, rows, columns], bias [columns], mask and y [rows, columns].
override elements: u32;
override columns: u32;
const each = 1u;
//: use sum_parts
//: use epilogue
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn count() -> u32 {
    return elements;
}

fn store(i: u32, q: u32, sum: f32) {
    y[i] = finished(sum, i, i % columns);
}
