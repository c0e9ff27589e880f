// Heads of whole vectors, which textures hold from the texels `q_first` and `kv_first` on. For subgroups of $(L): a lane has $(V / L)
// vectors of a head.
@group(0) @binding(0) var q: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var kv: texture_storage_2d<rgba32float, read>;
override q_first: u32;
override kv_first: u32;
//: use heads
//: use texel

fn q_vector(at: u32) -> vec4f { return textureLoad(q, texel(q_first + at)); }
fn kv_vector(at: u32) -> vec4f { return textureLoad(kv, texel(kv_first + at)); }

// What the weights of four keys for query i are multiplied by, and that of key j for four queries.
fn kept_of(b: u32, h: u32, i: u32, j: vec4u) -> vec4f {
    return vec4f(kept(b, h, i, j[0]), kept(b, h, i, j[1]), kept(b, h, i, j[2]), kept(b, h, i, j[3]));
}

fn kept_for(b: u32, h: u32, i: vec4u, j: u32) -> vec4f {
    return vec4f(kept(b, h, i[0], j), kept(b, h, i[1], j), kept(b, h, i[2], j), kept(b, h, i[3], j));
}
