// x[b, y, x] = stored[s(b), q] for b < valid, where q is the pixel nearest to M·(x, y) + t, all bits one where q lies outside or
// its label is `ignored`; zero beyond. s(b) is the sample of row b, M and t are those of its image, see lib/warp.
// stored [samples, stride] bytes, see lib/stored; x [batch, height, width] words. A workgroup owns a row, an invocation every
// 64th element.
override ignored: u32 = 0xffffffffu;

//: use stored
//: use warp
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let b = group.x + group.y * groups.x;
    if b >= batch {
        return;
    }
    let map = map_of(b);
    for (var e = lane; e < elements; e += 64u) {
        let source = map.right * f32(e % width) + map.down * f32(e / width) + map.offset;
        let q = vec2u(vec2i(floor(source + 0.5)));
        let inside = q.x < width && q.y < height;
        let label = word(map.sample, select(0u, q.y * width + q.x, inside));
        let none = !inside || label == ignored;
        x[b * elements + e] = select(0u, select(label, 0xffffffffu, none), b < control.valid);
    }
}
