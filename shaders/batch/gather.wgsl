// x[b, p] = images[s(b), p] · scale + shift, labels[b] = all_labels[s(b)], for b < valid; zero beyond.
// s(b) is the sample at place first + b of the epoch's order: shuffled by (key, epoch), or as it comes. With a window the
// epoch's places fall into chunks of so many, and a batch into one of them: its even chunks, counted from the start of the
// run, are rows 0 to window - 1, its odd ones window to 2·window - 1, each shuffled by (key, its number).
// images [samples, stride] bytes, x [batch, pixels]. A workgroup owns the vectors of four elements of x
// that begin in row b; where pixels is no multiple of four the last one reaches into row b + 1, and further where an
// image has but one pixel.
override batch: u32;
override pixels: u32;
override stride: u32;
override scale: f32;
override shift: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read> all_labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> labels: array<u32>;

//: use sample

fn pixel(s: u32, p: u32) -> f32 {
    let byte = s * stride + p;
    return f32((images[byte / 4u] >> (byte % 4u * 8u)) & 0xffu) * scale + shift;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let here = sample(b);
    if lane == 0u {
        labels[b] = select(0u, all_labels[here], b < control.valid);
    }
    var next = here;
    if pixels % 4u != 0u {
        next = sample(b + 1u);
    }
    let end = ((b + 1u) * pixels + 3u) / 4u;
    for (var v = (b * pixels + 3u) / 4u + lane; v < end; v += 64u) {
        let p = v * 4u - b * pixels;
        var value = vec4f(0.0);
        if pixels % 4u == 0u {
            let four = images[(here * stride + p) / 4u];
            let bytes = (vec4u(four) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
            value = select(vec4f(0.0), vec4f(bytes) * scale + shift, b < control.valid);
        } else {
            for (var e = 0u; e < 4u; e += 1u) {
                let row = b + (p + e) / pixels;
                if row < control.valid {
                    var s = select(here, next, row > b);
                    if row > b + 1u {
                        s = sample(row);
                    }
                    value[e] = pixel(s, (p + e) % pixels);
                }
            }
        }
        x[v] = value;
    }
}
