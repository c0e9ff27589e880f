// As attention_dx_kv_tile, for subgroups of $(L): a workgroup owns $(L) keys of a head. A lane has four queries for each, and then $(V / L)
// vectors of each one's gradients; the lanes hand round keys, values and what the queries are weighed with.
// dy [batch, queries, heads·D], lse and delta [batch, heads, queries]; dk and dv lie in dkv as k and v do in kv.
override member: u32;
//: use heads_lanes
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> dkv: array<vec4f>;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let across = (keys + $(L - 1)u) / $(L)u;
    let group = id.x + id.y * groups.x;
    let h = group / across % (heads / sharing) * sharing + member;
    let b = group / across / (heads / sharing);
    let j0 = group % across * $(L)u;
    if b >= batch {
        return;
    }
    let own = place_at(b, h, min(j0 + lane, keys - 1u));
    let valid = seen_by(b, queries + keys);
    //: for r in 0..L
    //: for w in 0..V/L
    var dk_$(r)_$(w) = vec4f(0.0);
    var dv_$(r)_$(w) = vec4f(0.0);
    //: end
    //: end
    // Where causal, no query before a key sees it.
    for (var i0 = select(0u, j0 / $(4 * L)u * $(4 * L)u, causal == 1u); i0 < queries; i0 += $(4 * L)u) {
        let query = vec4u(i0 + 4u * lane) + vec4u(0u, 1u, 2u, 3u);
        let row = (b * heads + h) * queries;
        //: for e in 0..4
        let i_$e = min(query[$(e)], queries - 1u);
        let q_at_$e = query_at(b, h, i_$e);
        let g_at_$e = ((b * queries + i_$e) * heads + h) * $(V)u;
        //: end
        let least = vec4f(lse[row + i_0], lse[row + i_1], lse[row + i_2], lse[row + i_3]);
        let apart = vec4f(delta[row + i_0], delta[row + i_1], delta[row + i_2], delta[row + i_3]);
        //: for r in 0..L
        var s_$r = vec4f(0.0);
        var t_$r = vec4f(0.0);
        //: end
        for (var v = 0u; v < $(V)u; v += 1u) {
            let a = kv_vector(own + key_at + v);
            let c = kv_vector(own + value_at + v);
            //: for e in 0..4
            let x_$e = q_vector(q_at_$e + v);
            let z_$e = dy[g_at_$e + v];
            //: end
            //: for e in 0..4
            let q_$e = vec4f(x_0[$(e)], x_1[$(e)], x_2[$(e)], x_3[$(e)]);
            let g_$e = vec4f(z_0[$(e)], z_1[$(e)], z_2[$(e)], z_3[$(e)]);
            //: end
            //: for r in 0..L
            //: for e in 0..4
            s_$r += subgroupBroadcast(a[$(e)], $(r)u) * q_$e;
            t_$r += subgroupBroadcast(c[$(e)], $(r)u) * g_$e;
            //: end
            //: end
        }
        let inside = query < vec4u(queries);
        //: for r in 0..L
        let sees_$r = inside & vec4<bool>(j0 + $(r)u < valid) & (vec4<bool>(causal == 0u) | (vec4u(j0 + $(r)u) <= query));
        let p_$r = select(vec4f(0.0), exp(scale * s_$r - least), sees_$r);
        let kept_$r = kept_for(b, h, query, j0 + $(r)u);
        let ds_$r = p_$r * (kept_$r * t_$r - apart);
        let w_$r = p_$r * kept_$r;
        //: end
        //: for k in 0..L
        //: for e in 0..4
        let n_$(k)_$(e) = min(i0 + $(4 * k + e)u, queries - 1u);
        //: for w in 0..V/L
        let q_$(k)_$(w)_$(e) = q_vector(query_at(b, h, n_$(k)_$(e)) + lane + $(w * L)u);
        let g_$(k)_$(w)_$(e) = dy[((b * queries + n_$(k)_$(e)) * heads + h) * $(V)u + lane + $(w * L)u];
        //: for r in 0..L
        dk_$(r)_$(w) += subgroupBroadcast(ds_$(r)[$(e)], $(k)u) * q_$(k)_$(w)_$(e);
        dv_$(r)_$(w) += subgroupBroadcast(w_$(r)[$(e)], $(k)u) * g_$(k)_$(w)_$(e);
        //: end
        //: end
        //: end
        //: end
    }
    //: for r in 0..L
    if j0 + $(r)u < keys {
        let at_$r = place_at(b, h, j0 + $(r)u) + lane;
        //: for w in 0..V/L
        add_to(at_$r + key_at + $(w * L)u, scale * dk_$(r)_$(w));
        add_to(at_$r + value_at + $(w * L)u, dv_$(r)_$(w));
        //: end
    }
    //: end
}

// What the heads before this one that share the key have left stays.
fn add_to(at: u32, x: vec4f) {
    dkv[at] = select(dkv[at], vec4f(0.0), member == 0u) + x;
}
