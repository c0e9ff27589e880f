// Backward, from number `steps` down to 0: with number n = s + 1 after step s, work has the gradients of the sums
// [steps, batch, G, units] and then those of h and, of an lstm, of c [batch, units], as far as they do not come through the
// weights. states and gates are what the way forward kept; dy [batch, steps, units], dgx [batch, steps, G, units].
//: use recurrence_rows
override of_y: u32;
@group(0) @binding(3) var<storage, read> states: array<Units>;
@group(0) @binding(4) var<storage, read> gates: array<Units>;
@group(0) @binding(5) var<storage, read> dy: array<Units>;
@group(0) @binding(6) var<storage, read_write> work: array<Units>;
@group(0) @binding(7) var<storage, read_write> dgx: array<Units>;

// The step before number n, of units j of row b, given Σ w[g, k, j]·(gradients of the sums of number n).
fn cell(n: u32, b: u32, j: u32, sum: Units) {
    let count = batch * units;
    let of_h = steps * $(G)u * count + b * units + j;
    let of_c = of_h + count;
    let zero = Units(0.0);
    var dh = work[of_h] + sum;
    if n == 0u {
        work[of_h] = dh;
        return;
    }
    let s = n - 1u;
    let valid = valid_of(b);
    let p = place(s, valid);
    let at = (s * batch + b) * units + j;
    let g = (s * batch + b) * 4u * units + j;
    let d = (s * batch + b) * $(G)u * units + j;
    let x = (b * steps + p) * $(G)u * units + j;
    var sums = Gates(zero, zero, zero, zero);
    // Of a gru's n, the gradient of the projected input, which is not that of the sum.
    var of_n = zero;
    if s < valid {
        if of_y == 1u {
            dh += dy[(b * steps + p) * units + j];
        }
        var direct = zero;
        if kind < 2u {
            let h = states[at + count];
            sums.a = select(zero, dh, h > zero);
            if kind == 0u {
                sums.a = dh * (1.0 - h * h);
            }
        } else {
            let a = gates[g];
            let z = gates[g + units];
            let fresh = gates[g + 2u * units];
            let last = gates[g + 3u * units];
            if kind == 2u {
                of_n = dh * (1.0 - z) * (1.0 - fresh * fresh);
                sums.a = of_n * last * a * (1.0 - a);
                sums.b = dh * (states[at] - fresh) * z * (1.0 - z);
                sums.c = of_n * a;
                direct = dh * z;
            } else {
                let cells = (steps + 1u) * count + at;
                let t = tanh_of(states[cells + count]);
                let dc = work[of_c] + dh * last * (1.0 - t * t);
                sums.a = dc * fresh * a * (1.0 - a);
                sums.b = dc * states[cells] * z * (1.0 - z);
                sums.c = dc * a * (1.0 - fresh * fresh);
                sums.d = dh * t * last * (1.0 - last);
                work[of_c] = dc * z;
            }
        }
        dh = direct;
    }
    work[of_h] = dh;
    let parts = array<Units, 4>(sums.a, sums.b, sums.c, sums.d);
    //: for g in 0..G
    work[d + $(g)u * units] = parts[$(g)];
    dgx[x + $(g)u * units] = parts[$(g)];
    //: end
    if kind == 2u {
        dgx[x + 2u * units] = of_n;
    }
}
