// x[b, y, x, c] = image(M·(x, y) + t, c) · scale + shift, for b < valid; zero beyond. image is the picture of the sample of
// row b, see lib/sample: bilinear between pixels and 0 outside.
// M and t belong to a sample and a step: shifted by up to `reach` pixels, turned by up to `turn` and slanted by up to `slant`
// radians, 1 ± `zoom` times as large, flipped, and shifted by whole pixels up to `crop`, all about the middle. A square of
// `cutout` pixels is 0. Without reach, turn, slant and zoom (`warp` 0) pixels fall on pixels.
// images [samples, stride] bytes, x [batch, height, width, channels]. A workgroup owns the vectors of four elements of x
// that begin in row b; where a row is no multiple of four the last one reaches into the rows behind it.
override batch: u32;
override height: u32;
override width: u32;
override channels: u32;
override stride: u32;
override scale: f32;
override shift: f32;
override warp: u32;
override reach: f32;
override turn: f32;
override zoom: f32;
override slant: f32;
override hflip: u32;
override vflip: u32;
override crop: u32;
override cutout: u32;
override salt: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;

// Where the pixels of a row come from: `right` and `down` are the columns of M.
struct Map {
    right: vec2f,
    down: vec2f,
    offset: vec2f,
    hole: vec2u,
    image: u32,
}

//: use sample

// Evenly spread over (-1, 1), 23 bits, exact.
fn unit(bits: u32) -> f32 {
    return (f32(bits >> 9u) + 0.5) * (1.0 / 4194304.0) - 1.0;
}

// Cosine and sine for |a| ≤ π from the series at half of it: WGSL's own may be 5e-4 off.
fn direction(a: f32) -> vec2f {
    let h = 0.5 * a;
    let z = h * h;
    let s5 = 1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362880.0 + z * (-1.0 / 39916800.0 + z * (1.0 / 6227020800.0))));
    let s = h * (1.0 + z * (-1.0 / 6.0 + z * s5));
    let c6 = -1.0 / 720.0 + z * (1.0 / 40320.0 + z * (-1.0 / 3628800.0 + z * (1.0 / 479001600.0 - z * (1.0 / 87178291200.0))));
    let c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * c6));
    return vec2f(1.0 - 2.0 * s * s, 2.0 * s * c);
}

fn map_of(b: u32) -> Map {
    let s = sample(b);
    let key = pcg(s ^ pcg(control.step ^ pcg(control.key ^ salt)));
    let middle = vec2f(f32(width - 1u), f32(height - 1u)) * 0.5;
    var map: Map;
    map.image = s * stride;
    map.right = vec2f(1.0, 0.0);
    map.down = vec2f(0.0, 1.0);
    var centre = middle;
    if warp != 0u {
        centre += reach * vec2f(unit(pcg(key)), unit(pcg(key + 1u)));
        let d = direction(turn * unit(pcg(key + 2u)));
        let slanted = direction(slant * unit(pcg(key + 4u)));
        let size = 1.0 + zoom * unit(pcg(key + 3u));
        let k = select(0.0, slanted.y / slanted.x, slant != 0.0);
        let smaller = select(1.0, 1.0 / size, zoom != 0.0);
        map.right = smaller * vec2f(d.x + k * d.y, -d.y);
        map.down = smaller * vec2f(d.y - k * d.x, d.x);
    }
    let flip = vec2f(
        select(1.0, -1.0, hflip * (pcg(key + 5u) >> 31u) == 1u),
        select(1.0, -1.0, vflip * (pcg(key + 6u) >> 31u) == 1u),
    );
    map.right *= flip;
    map.down *= flip;
    let cropped = vec2u(pcg(key + 7u), pcg(key + 8u)) % vec2u(2u * crop + 1u);
    centre += f32(crop) - vec2f(cropped);
    map.offset = middle - map.right * centre.x - map.down * centre.y;
    map.hole = vec2u(pcg(key + 9u) % width, pcg(key + 10u) % height) - vec2u(cutout / 2u);
    return map;
}

fn byte_at(map: Map, at: vec2i, c: u32) -> f32 {
    let u = vec2u(at);
    let inside = u.x < width && u.y < height;
    let byte = map.image + select(0u, (u.y * width + u.x) * channels + c, inside);
    return select(0.0, f32((images[byte / 4u] >> (byte % 4u * 8u)) & 0xffu), inside);
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
