// db[n, c] = Σ_p dy[n, p, c] · a[n, p, c], summed in the order of p.
// dy, a [samples, places, channels], db [samples, channels]; an invocation owns one of `count` vectors of db.
override count: u32;
override channels: u32;
override places: u32;

//: use vectors
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> a: array<V>;
@group(0) @binding(2) var<storage, read_write> db: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let vectors = channels / $(W)u;
    var sum = V();
    for (var p = 0u; p < places; p += 1u) {
        let at = (i / vectors * places + p) * vectors + i % vectors;
        sum += dy[at] * a[at];
    }
    db[i] = sum;
}
