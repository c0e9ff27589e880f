// As attention_tile, for subgroups of $(L): a workgroup owns $(L) queries of a head. A lane has the scores of four keys for each, and then
// $(V / L) vectors of each one's sum; the lanes hand round queries and weights.
// y [batch, queries, heads·D], lse [batch, heads, queries].
//: use heads_lanes
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;

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
    let own = query_at(b, h, min(i0 + lane, queries - 1u));
    let all = seen_by(b, min(i0 + $(L - 1)u, queries - 1u));
    //: for r in 0..L
    let seen_$r = seen_by(b, min(i0 + $(r)u, queries - 1u));
    var top_$r = -3.4e38;
    var sum_$r = 0.0;
    //: for w in 0..V/L
    var y_$(r)_$(w) = vec4f(0.0);
    //: end
    //: end
    for (var j0 = 0u; j0 < all; j0 += $(4 * L)u) {
        let key = vec4u(j0 + 4u * lane) + vec4u(0u, 1u, 2u, 3u);
        //: for e in 0..4
        let k_$e = place_at(b, h, min(key[$(e)], keys - 1u)) + key_at;
        //: end
        //: for r in 0..L
        var s_$r = vec4f(0.0);
        //: end
        for (var v = 0u; v < $(V)u; v += 1u) {
            let a = q_vector(own + v);
            //: for e in 0..4
            let x_$e = kv_vector(k_$e + v);
            //: end
            //: for e in 0..4
            let b_$e = vec4f(x_0[$(e)], x_1[$(e)], x_2[$(e)], x_3[$(e)]);
            //: end
            //: for r in 0..L
            s_$r += subgroupBroadcast(a[0], $(r)u) * b_0 + subgroupBroadcast(a[1], $(r)u) * b_1
                + subgroupBroadcast(a[2], $(r)u) * b_2 + subgroupBroadcast(a[3], $(r)u) * b_3;
            //: end
        }
        //: for r in 0..L
        let sees_$r = key < vec4u(seen_$r);
        let z_$r = select(vec4f(-3.4e38), scale * s_$r, sees_$r);
        let above_$r = max(top_$r, subgroupMax(max(max(z_$(r)[0], z_$(r)[1]), max(z_$(r)[2], z_$(r)[3]))));
        let stays_$r = exp(top_$r - above_$r);
        let p_$r = select(vec4f(0.0), exp(z_$r - above_$r), sees_$r);
        sum_$r = sum_$r * stays_$r + subgroupAdd(dot(p_$r, vec4f(1.0)));
        top_$r = above_$r;
        let w_$r = p_$r * kept_of(b, h, min(i0 + $(r)u, queries - 1u), key);
        //: for w in 0..V/L
        y_$(r)_$(w) *= stays_$r;
        //: end
        //: end
        //: for k in 0..L
        //: for e in 0..4
        let v_at_$(k)_$(e) = place_at(b, h, min(j0 + $(4 * k + e)u, keys - 1u)) + value_at + lane;
        //: end
        //: for w in 0..V/L
        //: for e in 0..4
        let v_$(k)_$(w)_$(e) = kv_vector(v_at_$(k)_$(e) + $(w * L)u);
        //: end
        //: for r in 0..L
        y_$(r)_$(w) += subgroupBroadcast(w_$(r)[0], $(k)u) * v_$(k)_$(w)_0 + subgroupBroadcast(w_$(r)[1], $(k)u) * v_$(k)_$(w)_1
            + subgroupBroadcast(w_$(r)[2], $(k)u) * v_$(k)_$(w)_2 + subgroupBroadcast(w_$(r)[3], $(k)u) * v_$(k)_$(w)_3;
        //: end
        //: end
        //: end
    }
    //: for r in 0..L
    if i0 + $(r)u < queries {
        let one_$r = select(1.0 / sum_$r, 0.0, sum_$r == 0.0);
        //: for w in 0..V/L
        y[((b * queries + i0 + $(r)u) * heads + h) * $(V)u + lane + $(w * L)u] = one_$r * y_$(r)_$(w);
        //: end
        if lane == 0u {
            lse[(b * heads + h) * queries + i0 + $(r)u] = select(top_$r + log(sum_$r), 0.0, sum_$r == 0.0);
        }
    }
    //: end
}
