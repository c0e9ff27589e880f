// The output row (or column) whose tap, `offset` rows from its window's first, reads the input row `at`, counted from the first
// row of zeros; beyond every row where there is none.
fn reader(at: u32, offset: u32, stride: u32) -> u32 {
    let place = (at - offset) / stride;
    return select(place, 0xffffffffu, offset > at || place * stride + offset != at);
}
