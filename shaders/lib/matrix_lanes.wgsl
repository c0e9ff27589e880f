// a [batch, m, k], y [batch, m, n] and b, a texture from texel `first` on, as gemm_lanes takes them; k and n are multiples of
// four.

//: use texel

override m: u32;
override n: u32;
override k: u32;
override first: u32;

fn rows() -> u32 { return m; }
fn columns() -> u32 { return n / 4u; }
fn taps() -> u32 { return 1u; }
fn terms() -> u32 { return k / 4u; }
fn a_row(row: u32) -> u32 { return (item * m + min(row, m - 1u)) * (k / 4u); }
fn a_tap(begin: u32, tap: u32) -> u32 { return begin; }
fn a_at(begin: u32, t: u32) -> vec4f { return a[begin + t]; }
fn b_texel(i: u32) -> vec4f { return textureLoad(b, texel(first + i)); }

//: use gemm_lanes
