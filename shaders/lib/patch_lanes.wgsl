// z[n, r, s, o] = Σ_{i,j,c} x[n, r·sh + i - pt, s·sw + j - pl, c] · weights[i, j, c, o] + bias[o] for few input channels.
// For subgroups of $(L): a workgroup owns two rows of places and a vector of four channels a lane; it keeps the
// weights, and moves along the rows $(PC) columns at a time. The file that uses it declares
//   places() -> vec2u: rows and columns of places; bias_at(column) -> vec4f;
//   store_four(image, top, left, column, z): the places (top, left), one to the right, one lower, both.

//: use patch

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(L - 1)u) / $(L)u;
    let owned = group % across * $(L)u + lane;
    let column = min(owned, columns - 1u);
    let strip = group / across;
    let strips = (places()[0] + 1u) / 2u;
    if strip >= n * strips {
        return;
    }
    let image = strip / strips;
    let top = strip % strips * 2u;
    //: for q in 0..(PATCH+L-1)/L
    let element_$(q) = element(min(lane + $(q * L)u, $(PATCH - 1)u), image, top);
    //: end
    //: for k in 0..KH*KW*CI
    let w_$(k) = weights[$(k)u * columns + column];
    //: end
    let b = bias_at(column);
    for (var left = 0u; left < places()[1]; left += $(PC)u) {
        //: for q in 0..(PATCH+L-1)/L
        let x_$(q) = number(element_$(q), left);
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
        //: for g in 0..PC/2
        if owned < columns {
            store_four(image, top, left + $(2 * g)u, column, mat4x4f(z_$(2*g), z_$(2*g+1), z_$(PC+2*g), z_$(PC+2*g+1)));
        }
        //: end
    }
}
