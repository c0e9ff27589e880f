// y[k, i, j] = x[k, i, j] for i < rows and j < columns, 0 beyond; where y is the smaller one, the rest of x is left out.
// x [outer, rows, columns], y [outer, to_rows, to_columns] of `elements`, their bits, whatever they stand for; an invocation
// owns a vector of four of y.
override elements: u32;
override rows: u32;
override columns: u32;
override to_rows: u32;
override to_columns: u32;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4u(0u);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let at = 4u * v + e;
        let j = at % to_columns;
        let i = at / to_columns % to_rows;
        if i < rows && j < columns {
            value[e] = x[(at / (to_columns * to_rows) * rows + i) * columns + j];
        }
    }
    y[v] = value;
}
