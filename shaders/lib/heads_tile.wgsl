// Heads of $(D) numbers, in memory: $(V) vectors, the last one with zeros at its end.
@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> kv: array<f32>;
//: use heads

// Vector v of a head that begins at an index of q, and of kv.
fn q_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(q[d], past(v, 1u, q[at_most(d, v, 1u)]), past(v, 2u, q[at_most(d, v, 2u)]), past(v, 3u, q[at_most(d, v, 3u)]));
}

fn kv_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(kv[d], past(v, 1u, kv[at_most(d, v, 1u)]), past(v, 2u, kv[at_most(d, v, 2u)]), past(v, 3u, kv[at_most(d, v, 3u)]));
}

// The number e of vector v, or 0 where the head ends before it.
fn past(v: u32, e: u32, x: f32) -> f32 {
    return select(0.0, x, 4u * v + e < $(D)u);
}

fn at_most(d: u32, v: u32, e: u32) -> u32 {
    return select(d, d + e, 4u * v + e < $(D)u);
}
