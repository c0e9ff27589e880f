// dq[i] = scale·Σ_j p[i, j]·(dy[i]·v[j] - delta[i])·k[j] over the keys j that i sees, with p[i, j] = exp(scale·q[i]·k[j] - lse[i]) and
// delta[i] = dy[i]·y[i] (Dao and others, 2022).
// y and dy [batch, queries, heads·D], lse and delta [batch, heads, queries]; dq lies as q does. A workgroup owns 64 queries of a head, an
// invocation one; $(K) keys and values at a time pass through workgroup memory.
//: use heads_keys_tile
@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> dq: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let place = queries_of(id.x + id.y * groups.x);
    let b = min(place.x, batch - 1u);
    let h = place.y;
    let i = place.z + lane;
    let own = min(i, queries - 1u);
    let seen = seen_by(b, own);
    let all = seen_by(b, min(place.z + 63u, queries - 1u));
    let first = query_at(b, h, own);
    let row = (b * heads + h) * queries + own;
    let out = ((b * queries + own) * heads + h) * $(D)u;
    var apart = 0.0;
    //: for v in 0..V
    let q_$v = scale * q_vector(first, $(v)u);
    let g_$v = dy_vector(out, $(v)u);
    apart += dot(g_$v, y_vector(out, $(v)u));
    var d_$v = vec4f(0.0);
    //: end
    let least = lse[row];
    for (var j0 = 0u; j0 < all; j0 += $(K)u) {
        load_keys(b, h, j0, lane);
        workgroupBarrier();
        for (var j = 0u; j < $(K)u; j += 1u) {
            let k = j * $(V)u;
            var s = -least;
            var dp = 0.0;
            //: for v in 0..V
            s += dot(q_$v, tile_k[k + $(v)u]);
            dp += dot(g_$v, tile_v[k + $(v)u]);
            //: end
            let ds = select(0.0, exp(s), j0 + j < seen) * (kept(b, h, own, j0 + j) * dp - apart);
            //: for v in 0..V
            d_$v += ds * tile_k[k + $(v)u];
            //: end
        }
        workgroupBarrier();
    }
    if i >= queries || place.x != b {
        return;
    }
    delta[row] = apart;
    //: for v in 0..V
    store(first, $(v)u, scale * d_$v);
    //: end
}

fn dy_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(dy[d], past(v, 1u, dy[at_most(d, v, 1u)]), past(v, 2u, dy[at_most(d, v, 2u)]), past(v, 3u, dy[at_most(d, v, 3u)]));
}

fn y_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(y[d], past(v, 1u, y[at_most(d, v, 1u)]), past(v, 2u, y[at_most(d, v, 2u)]), past(v, 3u, y[at_most(d, v, 3u)]));
}

fn store(to: u32, v: u32, x: vec4f) {
    for (var e = 0u; e < min(4u, $(D)u - 4u * v); e += 1u) {
        dq[to + 4u * v + e] = x[e];
    }
}
