// Heads of attention: where their queries, keys and values lie, and how many keys a query sees. A head has $(U) units at a
// place, numbers or vectors of four; a place of q has `query_width` units, one of kv `key_width`, its keys from `key_at` on
// and its values from `value_at` on. `sharing` heads of queries share one of keys and values.
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
// Dropout of the softmax's weights: of rate threshold / 2³², what stays times `kept_scale`, by random numbers of the key after the lengths.
override batch: u32;
override threshold: u32 = 0u;
override kept_scale: f32 = 1.0;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;

// Where the query of head h at place i of row b begins.
fn query_at(b: u32, h: u32, i: u32) -> u32 {
    return (b * queries + i) * query_width + h * $(U)u;
}

// Where place j of row b begins, for the head of keys and values that head h has.
fn place_at(b: u32, h: u32, j: u32) -> u32 {
    return (b * keys + j) * key_width + h / sharing * $(U)u;
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

//: use random

// What the weight of key j for query i of head h of row b is multiplied by.
fn kept(b: u32, h: u32, i: u32, j: u32) -> f32 {
    if threshold == 0u {
        return 1.0;
    }
    return select(kept_scale, 0.0, pcg((((b * heads + h) * queries + i) * keys + j) ^ lengths[batch]) < threshold);
}
