// For few input channels: the numbers of x [n, h, w, $(CI)] that 2 × $(PC) places read, a patch of $(PATCH / WIDE) rows of
// $(WIDE). Lane l brings elements l, l + $(L), … of it.

//: use window

// An element of the patches along two rows of places: where its row of x begins, and its column after the first place's.
// Rows and columns before the image wrap round and are beyond it too.
struct Element { at: u32, right: u32, live: bool }

fn element(i: u32, image: u32, top: u32) -> Element {
    let row = top * sh + i / $(WIDE)u - pt;
    return Element((image * h + row) * w * $(CI)u + i % $(CI)u, i % $(WIDE)u / $(CI)u - pl, row < h);
}

fn number(element: Element, left: u32) -> f32 {
    let column = left * sw + element.right;
    let inside = element.live & (column < w);
    return select(0.0, x[select(0u, element.at + column * $(CI)u, inside)], inside);
}
