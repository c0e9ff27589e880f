// db[n, c] = Σ_p dy[n, p, c] · a[n, p, c], summed in the order of p, 4,096 of them and then these sums, since a long sum
// loses with every term; eight in a round of the loop, which llvmpipe leaves after 65,535 rounds.
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
    for (var first = 0u; first < places; first += 4096u) {
        var run = V();
        for (var p = first; p < min(places, first + 4096u); p += 8u) {
            //: for u in 0..8
            if p + $(u)u < places {
                let at = (i / vectors * places + p + $(u)u) * vectors + i % vectors;
                run += dy[at] * a[at];
            }
            //: end
        }
        sum += run;
    }
    db[i] = sum;
}
