// dx[r, k] = scale·y[r, k]·(dy[r, k] - Σ dy[r, ·]·y[r, ·]), the sum over the row.
// dy, y, dx [rows, channels]. A workgroup has eight rows, eight invocations for each, which take every eighth key.
//: use row_runs
//: use lane_sums
override scale: f32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.x + group.y * groups.x) * (64u / span) + lane / span;
    let first = select(count(), lane % span, row < runs());
    var sum = 0.0;
    for (var k = first; k < count(); k += span) {
        sum += dy[at(row, k)] * y[at(row, k)];
    }
    sum = lane_sum(lane, span, vec2f(sum, 0.0)).x;
    for (var k = first; k < count(); k += span) {
        dx[at(row, k)] = scale * y[at(row, k)] * (dy[at(row, k)] - sum);
    }
}
