// states[first + i] = h[i] if given = 1, else 0; where doubled = 1, states[second + i] likewise from c; time[64·s] = s for
// s = 0 to steps: the number that the dispatch of a step reads.
// h, c [count]; an invocation owns an element of each.
override steps: u32;
override given: u32;
override given_second: u32;
//: use recurrence_ends
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> c: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<f32>;
@group(0) @binding(3) var<storage, read_write> time: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i <= steps {
        time[64u * i] = i;
    }
    if i >= count {
        return;
    }
    var of_h = 0.0;
    if given == 1u {
        of_h = h[i];
    }
    states[first + i] = of_h;
    if doubled == 1u {
        var of_c = 0.0;
        if given_second == 1u {
            of_c = c[i];
        }
        states[second + i] = of_c;
    }
}
