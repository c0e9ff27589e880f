// y[i] = max(0, max over p of z[p, i]) with z[p, i] = Σ_s partials[s, p, i] + bias[i % o], and argmax[i] the first p of the
// largest, or 4 where it is not above 0.
// partials [splits, 4, windows, o], bias [o], y and argmax [windows, o].
override elements: u32;
override o: u32;
const each = 4u;
//: use sum_parts
//: use store_pool

fn count() -> u32 {
    return elements;
}

fn store(i: u32, p: u32, sum: f32) {
    pool(p, sum, i, i % o);
}
