// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o] + bias[o],
// and max(·, 0) of it where relu = 1; for few input channels; o is a multiple of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y [n, oh, ow, o].
// For subgroups of $(L): a workgroup owns two rows of places and a vector of four channels a lane; it keeps the
// weights, and moves along the rows $(PC) columns at a time.
//: use window
override relu: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(L - 1)u) / $(L)u;
    let owned = group % across * $(L)u + lane;
    let column = min(owned, columns - 1u);
    let strip = group / across;
    let strips = (oh + 1u) / 2u;
    if strip >= n * strips {
        return;
    }
    let image = strip / strips;
    let top = strip % strips * 2u;
    // Lane l brings elements l, l + $(L), … of the patch, which has $(PATCH / WIDE) rows of $(WIDE) numbers.
    //: for q in 0..(PATCH+L-1)/L
    let patch_$(q) = min(lane + $(q * L)u, $(PATCH - 1)u);
    let right_$(q) = patch_$(q) % $(WIDE)u / $(CI)u - pl;
    //: end
    //: for q in 0..(PATCH+L-1)/L
    // Rows and columns before the image wrap round and are beyond it too.
    let row_$(q) = top * sh + patch_$(q) / $(WIDE)u - pt;
    let live_row_$(q) = row_$(q) < h;
    let pixels_$(q) = (image * h + row_$(q)) * w * $(CI)u + patch_$(q) % $(CI)u;
    //: end
    //: for k in 0..KH*KW*CI
    let w_$(k) = weights[$(k)u * columns + column];
    //: end
    let b = bias[column];
    for (var left = 0u; left < ow; left += $(PC)u) {
        //: for q in 0..(PATCH+L-1)/L
        let column_$(q) = left * sw + right_$(q);
        let inside_$(q) = live_row_$(q) & (column_$(q) < w);
        let x_$(q) = select(0.0, x[select(0u, pixels_$(q) + column_$(q) * $(CI)u, inside_$(q))], inside_$(q));
        //: end
        //: for e in 0..PATCH
        let x_at_$(e) = subgroupBroadcast(x_$(e/L), $(e%L)u);
        //: end
        //: for p in 0..2*PC
        var z_$(p) = b;
        //: for i in 0..KH
        //: for j in 0..KW*CI
        z_$(p) += x_at_$((p/PC*SH+i)*WIDE + p%PC*SW*CI + j) * w_$(i*KW*CI+j);
        //: end
        //: end
        //: end
        //: for p in 0..2*PC
        if (owned < columns) & (top + $(p/PC)u < oh) & (left + $(p%PC)u < ow) {
            let at = ((image * oh + top + $(p/PC)u) * ow + left + $(p%PC)u) * columns + column;
            y[at] = select(z_$(p), max(z_$(p), vec4f(0.0)), relu == 1u);
        }
        //: end
    }
}
