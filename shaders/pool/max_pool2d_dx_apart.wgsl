// dx[n, h, w, c] = dy of the window that holds (h, w), where its argmax is there, else 0: for windows that do not
// overlap, so that at most one holds a pixel; c is a multiple of four.
// dy and argmax [N, OH, OW, C], dx [N, H, W, C]; an invocation owns a vector of four channels of dx.
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let vectors = c / 4u;
    let column = i / vectors % w + pl;
    let row = i / (vectors * w) % h + pt;
    let n = i / (vectors * w * h);
    let a = row / sh;
    let b = column / sw;
    let held = a < oh && b < ow && row % sh < kh && column % sw < kw;
    let o = select(0u, ((n * oh + a) * ow + b) * vectors + i % vectors, held);
    let here = argmax[o] == vec4u(row % sh * kw + column % sw);
    dx[i] = select(vec4f(0.0), dy[o], here & vec4<bool>(held));
}
