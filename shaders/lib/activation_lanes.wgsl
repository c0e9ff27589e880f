// lib/activation for kernels that store many vectors, each by lines of its own: the functions of the table are in their text
// where $(A) is 1. Where it is 0, `kind` is that of ReLU or of none.
//: for table in 1..A+1
//: use activation
//: end
//: for plain in A..1
override kind: u32;

fn activated(x: vec4f) -> vec4f { return select(x, max(x, vec4f(0.0)), kind == 100u); }
//: end
