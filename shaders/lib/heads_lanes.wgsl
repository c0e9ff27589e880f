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
