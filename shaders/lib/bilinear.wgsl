// Where a row or a column of an image `fh` × `fw` times as large lies between those of [N, h, w, c]. The corners of both
// lie on each other where corners = 1, else their outer edges do: PyTorch's `align_corners`.
override elements: u32;
override h: u32;
override w: u32;
override c: u32;
override fh: u32;
override fw: u32;
override corners: u32;

struct Between {
    // The one before it; the next one has `share` of the weight.
    low: u32,
    share: f32,
}

fn between(at: u32, size: u32, factor: u32) -> Between {
    var above = select(0u, 2u * at + 1u - factor, 2u * at + 1u > factor);
    var whole = 2u * factor;
    if corners == 1u {
        above = at * (size - 1u);
        whole = max(size * factor - 1u, 1u);
    }
    return Between(above / whole, f32(above % whole) / f32(whole));
}
