// y[i] = Σ_j p[i, j]·v[j] and lse[i] = ln Σ_j exp(s[i, j]), of s[i, j] = scale·q[i]·k[j] over the keys j that i sees and
// p[i, j] = exp(s[i, j] - lse[i]); zeros where i sees no key. In one pass over the keys: what has been summed is scaled
// down when a larger score comes (Milakov and Gimelshein, 2018).
// y [batch, queries, heads·D], lse [batch, heads, queries].
//: use heads_keys_tile
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;

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
    //: for v in 0..V
    let q_$v = scale * q_vector(first, $(v)u);
    var y_$v = vec4f(0.0);
    //: end
    var top = -3.4e38;
    var sum = 0.0;
    for (var j0 = 0u; j0 < all; j0 += $(K)u) {
        load_keys(b, h, j0, lane);
        workgroupBarrier();
        for (var j = 0u; j < $(K)u; j += 4u) {
            let k = j * $(V)u;
            //: for e in 0..4
            var s_$e = 0.0;
            //: for v in 0..V
            s_$e += dot(q_$v, tile_k[k + $(e * V + v)u]);
            //: end
            s_$e = select(-3.4e38, s_$e, j0 + j + $(e)u < seen);
            //: end
            let above = max(top, max(max(s_0, s_1), max(s_2, s_3)));
            let stays = exp(top - above);
            //: for e in 0..4
            let p_$e = select(0.0, exp(s_$e - above), j0 + j + $(e)u < seen);
            let w_$e = p_$e * kept(b, h, own, j0 + j + $(e)u);
            //: end
            sum = sum * stays + (p_0 + p_1 + p_2 + p_3);
            //: for v in 0..V
            y_$v = y_$v * stays + w_0 * tile_v[k + $(v)u] + w_1 * tile_v[k + $(V + v)u] + w_2 * tile_v[k + $(2 * V + v)u]
                + w_3 * tile_v[k + $(3 * V + v)u];
            //: end
            top = above;
        }
        workgroupBarrier();
    }
    if i >= queries || place.x != b {
        return;
    }
    let one = select(1.0 / sum, 0.0, sum == 0.0);
    let to = ((b * queries + i) * heads + h) * $(D)u;
    //: for v in 0..V
    store(to, $(v)u, y_$v * one);
    //: end
    lse[(b * heads + h) * queries + i] = select(top + log(sum), 0.0, sum == 0.0);
}

fn store(to: u32, v: u32, x: vec4f) {
    for (var e = 0u; e < min(4u, $(D)u - 4u * v); e += 1u) {
        y[to + 4u * v + e] = x[e];
    }
}
