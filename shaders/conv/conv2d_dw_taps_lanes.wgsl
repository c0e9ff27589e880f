// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the places; the row after the last tap has x = 1: the gradient of the bias. c and o are multiples of four.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, $(KH)·$(KW)·c + 1, o].
// For subgroups of $(L): a workgroup owns every tap, $(E) vectors of four output channels and a vector of four input
// channels a lane.
override padded: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn places() -> u32 { return n * oh * ow; }

fn corner(place: u32) -> vec3u {
    return vec3u(place / (ow * oh), place / ow % oh * sh - pt, place % ow * sw - pl);
}

fn given(place: u32, column: u32) -> Given { return Given(dy[place * (o / 4u) + column], vec4u(0u)); }

//: use taps_lanes
