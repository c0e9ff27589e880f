// dv[j] = Σ_i p[i, j]·dy[i] and dk[j] = scale·Σ_i p[i, j]·(dy[i]·v[j] - delta[i])·q[i], over the queries i that see the key j, of
// the heads that share it: head `member` of these, added to what the ones before it have left.
// dy [batch, queries, heads·D], lse and delta [batch, heads, queries]; dk and dv lie in dkv as k and v do in kv. A workgroup owns 64 keys
// of a head, an invocation one; $(K) queries at a time pass through workgroup memory.
override member: u32;
//: use heads_tile
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> dkv: array<f32>;
var<workgroup> tile_q: array<vec4f, $(K * V)>;
var<workgroup> tile_g: array<vec4f, $(K * V)>;
var<workgroup> tile_row: array<vec2f, $(K)>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let across = (keys + 63u) / 64u;
    let group = id.x + id.y * groups.x;
    let h = group / across % (heads / sharing) * sharing + member;
    let last = arrayLength(&lse) / (heads * queries) - 1u;
    let b = min(group / across / (heads / sharing), last);
    let j0 = group % across * 64u;
    let j = min(j0 + lane, keys - 1u);
    let valid = j < seen_by(b, queries + keys);
    let at = place_at(b, h, j);
    //: for v in 0..V
    let k_$v = scale * kv_vector(at + key_at, $(v)u);
    let v_$v = kv_vector(at + value_at, $(v)u);
    var dk_$v = vec4f(0.0);
    var dv_$v = vec4f(0.0);
    //: end
    // Where causal, no query before a key sees it.
    for (var i0 = select(0u, j0 / $(K)u * $(K)u, causal == 1u); i0 < queries; i0 += $(K)u) {
        for (var n = lane; n < $(K * V)u; n += 64u) {
            let i = min(i0 + n / $(V)u, queries - 1u);
            tile_q[n] = q_vector(query_at(b, h, i), n % $(V)u);
            tile_g[n] = dy_vector(((b * queries + i) * heads + h) * $(D)u, n % $(V)u);
            if n % $(V)u == 0u {
                let row = (b * heads + h) * queries + i;
                tile_row[n / $(V)u] = vec2f(lse[row], delta[row]);
            }
        }
        workgroupBarrier();
        for (var i = 0u; i < $(K)u; i += 1u) {
            let n = i * $(V)u;
            var s = -tile_row[i].x;
            var dp = 0.0;
            //: for v in 0..V
            s += dot(k_$v, tile_q[n + $(v)u]);
            dp += dot(v_$v, tile_g[n + $(v)u]);
            //: end
            let p = select(0.0, exp(s), i0 + i < queries & valid & (causal == 0u | j <= i0 + i));
            let stays = kept(b, h, i0 + i, j);
            let ds = p * (stays * dp - tile_row[i].y);
            //: for v in 0..V
            dk_$v += ds * tile_q[n + $(v)u];
            dv_$v += p * stays * tile_g[n + $(v)u];
            //: end
        }
        workgroupBarrier();
    }
    if j0 + lane >= keys || group / across / (heads / sharing) > last {
        return;
    }
    //: for v in 0..V
    store(at + key_at, $(v)u, scale * dk_$v);
    store(at + value_at, $(v)u, dv_$v);
    //: end
}

fn dy_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(dy[d], past(v, 1u, dy[at_most(d, v, 1u)]), past(v, 2u, dy[at_most(d, v, 2u)]), past(v, 3u, dy[at_most(d, v, 3u)]));
}

fn store(to: u32, v: u32, x: vec4f) {
    for (var e = 0u; e < min(4u, $(D)u - 4u * v); e += 1u) {
        let at = to + 4u * v + e;
        dkv[at] = select(dkv[at], 0.0, member == 0u) + x[e];
    }
}
