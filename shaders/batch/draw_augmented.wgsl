// x[b, y, x, c] = image(M·(x, y) + t, c) · scale + shift, for b < valid; zero beyond. image is the picture of the sample of
// row b, see lib/sample: bilinear between pixels, and outside byte c % 4 of `fill`.
// M and t belong to a sample and a step, see lib/warp. A square of `cutout` pixels is 0.
// images [samples, stride] bytes, x [batch, height, width, channels]. A workgroup owns the vectors of four elements of x
// that begin in row b; where a row is no multiple of four the last one reaches into the rows after it.
override batch: u32;
override channels: u32;
override stride: u32;
override scale: f32;
override shift: f32;
override fill: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;

//: use sample
//: use warp

fn byte_at(map: Map, at: vec2i, c: u32) -> f32 {
    let u = vec2u(at);
    let inside = u.x < width && u.y < height;
    let byte = map.sample * stride + select(0u, (u.y * width + u.x) * channels + c, inside);
    let word = select(fill >> (c % 4u * 8u), images[byte / 4u] >> (byte % 4u * 8u), inside);
    return f32(word & 0xffu);
}

// Element p of a row.
fn element(map: Map, p: u32) -> f32 {
    let c = p % channels;
    let place = vec2u(p / channels % width, p / channels / width);
    let source = map.right * f32(place.x) + map.down * f32(place.y) + map.offset;
    let low = floor(source);
    let at = vec2i(low);
    var value = byte_at(map, at, c);
    if warp != 0u {
        let part = source - low;
        let below = byte_at(map, at + vec2i(0, 1), c);
        let top = value + part.x * (byte_at(map, at + vec2i(1, 0), c) - value);
        let bottom = below + part.x * (byte_at(map, at + vec2i(1, 1), c) - below);
        value = top + part.y * (bottom - top);
    }
    let hidden = place - map.hole < vec2u(cutout);
    return select(value, 0.0, all(hidden)) * scale + shift;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let pixels = height * width * channels;
    let here = map_of(b);
    let end = ((b + 1u) * pixels + 3u) / 4u;
    for (var v = (b * pixels + 3u) / 4u + lane; v < end; v += 64u) {
        let p = v * 4u - b * pixels;
        var value = vec4f(0.0);
        if pixels % 4u == 0u {
            if b < control.valid {
                value = vec4f(element(here, p), element(here, p + 1u), element(here, p + 2u), element(here, p + 3u));
            }
        } else {
            for (var e = 0u; e < 4u; e += 1u) {
                let row = b + (p + e) / pixels;
                if row < control.valid {
                    var map = here;
                    if row > b {
                        map = map_of(row);
                    }
                    value[e] = element(map, (p + e) % pixels);
                }
            }
        }
        x[v] = value;
    }
}
