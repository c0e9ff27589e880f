// A stored field: a sample's elements from byte s·stride on, of the type `kind`: 0 u8, 1 u16, 2 u32, 3 f32, whose bits are
// its word. The file that uses this has the sizes of a batch from it.
override batch: u32;
override elements: u32;
override stride: u32;
override kind: u32 = 0u;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> stored: array<u32>;

//: use sample

fn word(s: u32, e: u32) -> u32 {
    let row = s * stride;
    switch kind {
        case 0u: { return (stored[(row + e) / 4u] >> ((row + e) % 4u * 8u)) & 0xffu; }
        case 1u: { return (stored[(row + e * 2u) / 4u] >> (e % 2u * 16u)) & 0xffffu; }
        default: { return stored[row / 4u + e]; }
    }
}
