// dz[n, oh, ow, o] = dp[n, oh / 2, ow / 2, o] where argmax[n, oh / 2, ow / 2, o] = oh % 2 · 2 + ow % 2, else 0: the gradient
// of the convolution's places, in a texture. o is a multiple of four.
// dp and argmax [n, ph, pw, o], dz [n, oh, ow, o]; an invocation owns a vector of four channels of dz.
override count: u32;
//: use window
override ph: u32;
override pw: u32;
override texels: u32;
@group(0) @binding(0) var<storage, read> dp: array<vec4f>;
@group(0) @binding(1) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(2) var dz: texture_storage_2d<rgba32float, write>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let vectors = o / 4u;
    let column = i / vectors % ow;
    let row = i / (vectors * ow) % oh;
    let image = i / (vectors * ow * oh);
    // An odd last row or column is in no window.
    let held = row / 2u < ph && column / 2u < pw;
    let window = select(0u, ((image * ph + row / 2u) * pw + column / 2u) * vectors + i % vectors, held);
    let here = argmax[window] == vec4u(row % 2u * 2u + column % 2u);
    textureStore(dz, vec2u(i % texels, i / texels), select(vec4f(0.0), dp[window], here & vec4<bool>(held)));
}
