// Where the pixels of a changed image come from, M·(x, y) + t, for a sample in a step: shifted by up to `reach` pixels, turned
// by up to `turn` and slanted by up to `slant` radians, 1 ± `zoom` times as large, flipped, and shifted by whole pixels up to
// `crop`, all about the middle; and a `hole` of `cutout` pixels. Without reach, turn, slant and zoom (`warp` 0) pixels fall on
// pixels. With `resized` the image is first a part of itself, `least_area` to `least_area + more_area` of the area, resized to
// the whole: 1 / aspect² is the image's proportion, `half_ratio` half the logarithm of the part's largest one.
// An image and its mask draw the same. The file that uses this has `control` and `sample`.
override height: u32;
override width: u32;
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
override resized: u32 = 0u;
override least_area: f32 = 1.0;
override more_area: f32 = 0.0;
override half_ratio: f32 = 0.0;
override aspect_x: f32 = 1.0;
override aspect_y: f32 = 1.0;

// Where the pixels of a row come from: `right` and `down` are the columns of M.
struct Map {
    right: vec2f,
    down: vec2f,
    offset: vec2f,
    hole: vec2u,
    sample: u32,
}

// Evenly spread over (-1, 1), 23 bits, exact.
fn unit(bits: u32) -> f32 {
    return (f32(bits >> 9u) + 0.5) * (1.0 / 4194304.0) - 1.0;
}

// Evenly spread over (0, 1), alike.
fn share(bits: u32) -> f32 {
    return (f32(bits >> 9u) + 0.5) * (1.0 / 8388608.0);
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
    map.sample = s;
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
    var focus = middle;
    if resized != 0u {
        let side = sqrt(least_area + more_area * share(pcg(key + 11u)));
        let stretch = half_ratio * unit(pcg(key + 12u));
        let part = min(vec2f(1.0), side * vec2f(aspect_x, aspect_y) * exp(vec2f(stretch, -stretch)));
        focus += middle * (1.0 - part) * vec2f(unit(pcg(key + 13u)), unit(pcg(key + 14u)));
        map.right *= part;
        map.down *= part;
    }
    map.offset = focus - map.right * centre.x - map.down * centre.y;
    map.hole = vec2u(pcg(key + 9u) % width, pcg(key + 10u) % height) - vec2u(cutout / 2u);
    return map;
}
