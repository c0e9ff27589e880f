// The gradients of weights and bias of a convolution behind which stand a ReLU and a 2 × 2 max pool: the sums of
// conv2d_dw, with dy[n, 2·ph + p / 2, 2·pw + p % 2, o] = dp[n, ph, pw, o] where argmax = p, else 0.
// For few input channels; o is a multiple of four. x [n, h, w, c], dp and argmax [n, ph, pw, o], partials
// [splits, kh·kw·c + 1, o], the last row the bias. For subgroups of $(L): a workgroup owns a part of the rows of
// windows and a vector of four channels a lane; it keeps the sums, and moves $(PC / 2) windows at a time.
//: use window
override ph: u32;
override pw: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dp: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(L - 1)u) / $(L)u;
    let owned = group % across * $(L)u + lane;
    let column = min(owned, columns - 1u);
    let split = group / across;
    if split >= splits {
        return;
    }
    let strips = ph;
    //: for k in 0..KH*KW*CI
    var sum_$(k) = vec4f(0.0);
    //: end
    var total = vec4f(0.0);
    // Lane l brings elements l, l + $(L), … of the patch, which has $(PATCH / WIDE) rows of $(WIDE) numbers.
    //: for q in 0..(PATCH+L-1)/L
    let patch_$(q) = min(lane + $(q * L)u, $(PATCH - 1)u);
    let right_$(q) = patch_$(q) % $(WIDE)u / $(CI)u - pl;
    //: end
    for (var strip = split * per_split; strip < min((split + 1u) * per_split, n * strips); strip += 1u) {
        let image = strip / strips;
        let top = strip % strips * 2u;
    //: for q in 0..(PATCH+L-1)/L
    // Rows and columns before the image wrap round and are beyond it too.
    let row_$(q) = top * sh + patch_$(q) / $(WIDE)u - pt;
    let live_row_$(q) = row_$(q) < h;
    let pixels_$(q) = (image * h + row_$(q)) * w * $(CI)u + patch_$(q) % $(CI)u;
    //: end
        for (var left = 0u; left < 2u * pw; left += $(PC)u) {
        //: for q in 0..(PATCH+L-1)/L
        let column_$(q) = left * sw + right_$(q);
        let inside_$(q) = live_row_$(q) & (column_$(q) < w);
        let x_$(q) = select(0.0, x[select(0u, pixels_$(q) + column_$(q) * $(CI)u, inside_$(q))], inside_$(q));
        //: end
        //: for e in 0..PATCH
        let x_at_$(e) = subgroupBroadcast(x_$(e/L), $(e%L)u);
        //: end
        //: for g in 0..PC/2
        let live_$(g) = left / 2u + $(g)u < pw;
        let at_$(g) = select(0u, ((image * ph + top / 2u) * pw + left / 2u + $(g)u) * columns + column, live_$(g));
        let dp_$(g) = select(vec4f(0.0), dp[at_$(g)], live_$(g));
        let place_$(g) = argmax[at_$(g)];
        //: for p in 0..4
        let dy_$(p/2*PC+2*g+p%2) = select(vec4f(0.0), dp_$(g), place_$(g) == vec4u($(p)u));
        //: end
        //: end
        //: for p in 0..2*PC
        total += dy_$(p);
        //: for i in 0..KH
        //: for j in 0..KW*CI
        sum_$(i*KW*CI+j) += x_at_$((p/PC*SH+i)*WIDE + p%PC*SW*CI + j) * dy_$(p);
        //: end
        //: end
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
