// x[b, e] = stored[s(b), e] · scale + shift, for b < valid; zero beyond. s(b) is the sample of row b, see lib/sample.
// stored [samples, stride] bytes, see lib/stored; x [batch, elements]. A workgroup
// owns the vectors of four elements of x that begin in row b; where elements is no multiple of four the last one reaches
// into row b + 1, and further where a sample has but one element.
override scale: f32;
override shift: f32;

//: use stored
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;

fn element(s: u32, e: u32) -> f32 {
    let bits = word(s, e);
    return select(f32(bits), bitcast<f32>(bits), kind == 3u) * scale + shift;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let here = sample(b);
    var next = here;
    if elements % 4u != 0u {
        next = sample(b + 1u);
    }
    let end = ((b + 1u) * elements + 3u) / 4u;
    for (var v = (b * elements + 3u) / 4u + lane; v < end; v += 64u) {
        let p = v * 4u - b * elements;
        var value = vec4f(0.0);
        if kind == 0u && elements % 4u == 0u {
            let four = stored[(here * stride + p) / 4u];
            let bytes = (vec4u(four) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
            value = select(vec4f(0.0), vec4f(bytes) * scale + shift, b < control.valid);
        } else {
            for (var e = 0u; e < 4u; e += 1u) {
                let row = b + (p + e) / elements;
                if row < control.valid {
                    var s = select(here, next, row > b);
                    if row > b + 1u {
                        s = sample(row);
                    }
                    value[e] = element(s, (p + e) % elements);
                }
            }
        }
        x[v] = value;
    }
}
