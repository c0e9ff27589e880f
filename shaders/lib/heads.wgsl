// Heads of attention: where their queries, keys and values lie, and how many keys a query sees. A head has $(D) numbers at a
// place, $(V) vectors with zeros at the end; a place of q has `query_width` numbers, one of kv `key_width`, its keys from
// `key_at` on and its values from `value_at` on. `sharing` heads of queries share one of keys and values.
override queries: u32;
override keys: u32;
override heads: u32;
override sharing: u32;
override query_width: u32;
override key_width: u32;
override key_at: u32;
override value_at: u32;
override causal: u32;
override limited: u32;
override scale: f32;
@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> kv: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;

// Where the query of head h at place i of row b begins.
fn query_at(b: u32, h: u32, i: u32) -> u32 {
    return (b * queries + i) * query_width + h * $(D)u;
}

// Where place j of row b begins, for the head of keys and values that head h has.
fn place_at(b: u32, h: u32, j: u32) -> u32 {
    return (b * keys + j) * key_width + h / sharing * $(D)u;
}

// How many keys the queries of row b up to place i see.
fn seen_by(b: u32, i: u32) -> u32 {
    var count = keys;
    if limited == 1u {
        count = min(count, lengths[b]);
    }
    if causal == 1u {
        count = min(count, i + 1u);
    }
    return count;
}

// Vector v of a head that begins at an index of q, and of kv.
fn q_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(q[d], past(v, 1u, q[at_most(d, v, 1u)]), past(v, 2u, q[at_most(d, v, 2u)]), past(v, 3u, q[at_most(d, v, 3u)]));
}

fn kv_vector(at: u32, v: u32) -> vec4f {
    let d = at + 4u * v;
    return vec4f(kv[d], past(v, 1u, kv[at_most(d, v, 1u)]), past(v, 2u, kv[at_most(d, v, 2u)]), past(v, 3u, kv[at_most(d, v, 3u)]));
}

// The number e of vector v, or 0 where the head ends before it.
fn past(v: u32, e: u32, x: f32) -> f32 {
    return select(0.0, x, 4u * v + e < $(D)u);
}

fn at_most(d: u32, v: u32, e: u32) -> u32 {
    return select(d, d + e, 4u * v + e < $(D)u);
}
