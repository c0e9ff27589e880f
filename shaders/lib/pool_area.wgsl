// The area of a pool's window o: of its places, counted from the first of the padding, those from row low_h to high_h and from
// column low_w to high_w.
override low_h: u32;
override high_h: u32;
override low_w: u32;
override high_w: u32;

fn area(o: u32) -> f32 {
    let column = o / c % ow * sw;
    let row = o / (c * ow) % oh * sh;
    return f32((min(row + kh, high_h) - max(row, low_h)) * (min(column + kw, high_w) - max(column, low_w)));
}
