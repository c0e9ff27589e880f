// Where vector i of a tensor lies in a texture: a row has as many texels as every texture of a plan.
override texels: u32;
fn texel(i: u32) -> vec2u { return vec2u(i % texels, i / texels); }
