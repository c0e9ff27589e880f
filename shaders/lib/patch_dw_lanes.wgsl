// partials[s, (i, j, c), o] = Σ x[n, r·sh + i - pt, s·sw + j - pl, c] · dy[n, r, s, o] over the s-th part of
// the pairs of rows of places, for few input channels; the row after the last tap has x = 1: the gradient of the bias.
// For subgroups of $(L): a workgroup owns a part and a vector of four channels a lane; it keeps the sums, and moves
// along pairs of rows $(PC) columns at a time. The file that uses it declares
//   places() -> vec2u: rows and columns of places;
//   dy_four(image, top, left, column) -> mat4x4f: dy of the places (top, left), one to the right, one lower, both.

//: use patch

override splits: u32;
override per_split: u32;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(L - 1)u) / $(L)u;
    let owned = group % across * $(L)u + lane;
    let column = min(owned, columns - 1u);
    let split = group / across;
    let strips = (places()[0] + 1u) / 2u;
    if split >= splits {
        return;
    }
    //: for k in 0..KH*KW*CI
    var sum_$(k) = vec4f(0.0);
    //: end
    var total = vec4f(0.0);
    for (var strip = split * per_split; strip < min((split + 1u) * per_split, n * strips); strip += 1u) {
        let image = strip / strips;
        let top = strip % strips * 2u;
        //: for q in 0..(PATCH+L-1)/L
        let element_$(q) = element(min(lane + $(q * L)u, $(PATCH - 1)u), image, top);
        //: end
        for (var left = 0u; left < places()[1]; left += $(PC)u) {
            //: for q in 0..(PATCH+L-1)/L
            let x_$(q) = number(element_$(q), left);
            //: end
            //: for e in 0..PATCH
            let x_at_$(e) = subgroupBroadcast(x_$(e/L), $(e%L)u);
            //: end
            //: for g in 0..PC/2
            let dy_$(g) = dy_four(image, top, left + $(2 * g)u, column);
            //: end
            //: for p in 0..2*PC
            {
                let dy = dy_$(p%PC/2)[$(p/PC*2+p%2)];
                total += dy;
                //: for i in 0..KH
                //: for j in 0..KW*CI
                sum_$(i*KW*CI+j) += x_at_$((p/PC*SH+i)*WIDE + p%PC*SW*CI + j) * dy;
                //: end
                //: end
            }
            //: end
        }
    }
    if owned < columns {
        let at = split * $(KH*KW*CI+1)u * columns + column;
        //: for k in 0..KH*KW*CI
        partials[at + $(k)u * columns] = sum_$(k);
        //: end
        partials[at + $(KH*KW*CI)u * columns] = total;
    }
}
