// Kernels whose workgroups own 64 queries of a head, an invocation one, while its keys and values pass through workgroup memory, $(K) at a
// time.
//: use heads_tile
var<workgroup> tile_k: array<vec4f, $(K * V)>;
var<workgroup> tile_v: array<vec4f, $(K * V)>;

// The row, the head and the first query of a workgroup; rows from `batch` on are of workgroups that write nothing.
fn queries_of(group: u32) -> vec3u {
    let across = (queries + 63u) / 64u;
    return vec3u(group / across / heads, group / across % heads, group % across * 64u);
}

// Loads keys and values from place j0 on.
fn load_keys(b: u32, h: u32, j0: u32, lane: u32) {
    for (var n = lane; n < $(K * V)u; n += 64u) {
        let at = place_at(b, h, min(j0 + n / $(V)u, keys - 1u));
        tile_k[n] = kv_vector(at + key_at, n % $(V)u);
        tile_v[n] = kv_vector(at + value_at, n % $(V)u);
    }
}
