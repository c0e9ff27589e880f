// As attention_dx_q_tile, for subgroups of $(L): a workgroup owns $(L) queries of a head. A lane has four keys for each, and then $(V / L) vectors
// of each one's gradient; the lanes hand round queries, gradients and what the keys are weighed with.
// y and dy [batch, queries, heads·D], lse and delta [batch, heads, queries]; dq lies as q does.
//: use heads_lanes
@group(0) @binding(3) var<storage, read> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> dq: array<vec4f>;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let across = (queries + $(L - 1)u) / $(L)u;
    let group = id.x + id.y * groups.x;
    let h = group / across % heads;
    let b = group / across / heads;
    let i0 = group % across * $(L)u;
    if b * heads * queries >= arrayLength(&lse) {
        return;
    }
    let i = min(i0 + lane, queries - 1u);
    let own = query_at(b, h, i);
    let out = ((b * queries + i) * heads + h) * $(V)u;
    let row = (b * heads + h) * queries + i;
    var apart = 0.0;
    for (var v = 0u; v < $(V)u; v += 1u) {
        apart += dot(dy[out + v], y[out + v]);
    }
    if i0 + lane < queries {
        delta[row] = apart;
    }
    let least = lse[row];
    let all = seen_by(b, min(i0 + $(L - 1)u, queries - 1u));
    //: for r in 0..L
    let seen_$r = seen_by(b, min(i0 + $(r)u, queries - 1u));
    let least_$r = subgroupBroadcast(least, $(r)u);
    let apart_$r = subgroupBroadcast(apart, $(r)u);
    //: for w in 0..V/L
    var d_$(r)_$(w) = vec4f(0.0);
    //: end
    //: end
    for (var j0 = 0u; j0 < all; j0 += $(4 * L)u) {
        let key = vec4u(j0 + 4u * lane) + vec4u(0u, 1u, 2u, 3u);
        //: for e in 0..4
        let at_$e = place_at(b, h, min(key[$(e)], keys - 1u));
        //: end
        //: for r in 0..L
        var s_$r = vec4f(0.0);
        var t_$r = vec4f(0.0);
        //: end
        for (var v = 0u; v < $(V)u; v += 1u) {
            let a = q_vector(own + v);
            let g = dy[out + v];
            //: for e in 0..4
            let x_$e = kv_vector(at_$e + key_at + v);
            let z_$e = kv_vector(at_$e + value_at + v);
            //: end
            //: for e in 0..4
            let k_$e = vec4f(x_0[$(e)], x_1[$(e)], x_2[$(e)], x_3[$(e)]);
            let v_$e = vec4f(z_0[$(e)], z_1[$(e)], z_2[$(e)], z_3[$(e)]);
            //: end
            //: for r in 0..L
            //: for e in 0..4
            s_$r += subgroupBroadcast(a[$(e)], $(r)u) * k_$e;
            t_$r += subgroupBroadcast(g[$(e)], $(r)u) * v_$e;
            //: end
            //: end
        }
        //: for r in 0..L
        let ds_$r = select(vec4f(0.0), exp(scale * s_$r - least_$r), key < vec4u(seen_$r))
            * (kept_of(b, h, min(i0 + $(r)u, queries - 1u), key) * t_$r - apart_$r);
        //: end
        //: for k in 0..L
        //: for e in 0..4
        let k_at_$(k)_$(e) = place_at(b, h, min(j0 + $(4 * k + e)u, keys - 1u)) + key_at + lane;
        //: for w in 0..V/L
        let k_$(k)_$(w)_$(e) = kv_vector(k_at_$(k)_$(e) + $(w * L)u);
        //: for r in 0..L
        d_$(r)_$(w) += subgroupBroadcast(ds_$(r)[$(e)], $(k)u) * k_$(k)_$(w)_$(e);
        //: end
        //: end
        //: end
        //: end
    }
    //: for r in 0..L
    if i0 + $(r)u < queries {
        //: for w in 0..V/L
        dq[query_at(b, h, i0 + $(r)u) + lane + $(w * L)u] = scale * d_$(r)_$(w);
        //: end
    }
    //: end
}
