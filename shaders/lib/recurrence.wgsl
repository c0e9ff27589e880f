// Forward: with s before a step and s + 1 after it, states [1 or 2, steps + 1, batch, units] are h and, of an lstm, c; gates
// [steps, batch, 4, units] what the way back needs; gx [batch, steps, G, units], bias [G, units], y [batch, steps, units].
//: use recurrence_rows
@group(0) @binding(3) var<storage, read> gx: array<Units>;
@group(0) @binding(4) var<storage, read> bias: array<Units>;
@group(0) @binding(5) var<storage, read_write> states: array<Units>;
@group(0) @binding(6) var<storage, read_write> gates: array<Units>;
@group(0) @binding(7) var<storage, read_write> y: array<Units>;

// Step s of units j of row b, given the sums Σ_k w[g, j, k]·h[k] of each gate.
fn cell(s: u32, b: u32, j: u32, sums: Gates) {
    let count = batch * units;
    let at = (s * batch + b) * units + j;
    let valid = valid_of(b);
    let p = place(s, valid);
    let x = (b * steps + p) * $(G)u * units + j;
    let g = (s * batch + b) * 4u * units + j;
    let zero = Units(0.0);
    let before = states[at];
    var after = before;
    var kept = Gates(zero, zero, zero, zero);
    if s < valid {
        if kind < 2u {
            let sum = gx[x] + (sums.a + bias[j]);
            after = max(sum, zero);
            if kind == 0u {
                after = tanh_of(sum);
            }
        } else if kind == 2u {
            kept.a = sigmoid_of(gx[x] + (sums.a + bias[j]));
            kept.b = sigmoid_of(gx[x + units] + (sums.b + bias[units + j]));
            kept.d = sums.c + bias[2u * units + j];
            kept.c = tanh_of(gx[x + 2u * units] + kept.a * kept.d);
            after = (1.0 - kept.b) * kept.c + kept.b * before;
        } else {
            kept.a = sigmoid_of(gx[x] + (sums.a + bias[j]));
            kept.b = sigmoid_of(gx[x + units] + (sums.b + bias[units + j]));
            kept.c = tanh_of(gx[x + 2u * units] + (sums.c + bias[2u * units + j]));
            kept.d = sigmoid_of(gx[x + 3u * units] + (sums.d + bias[3u * units + j]));
        }
    }
    if kind == 3u {
        let of_c = (steps + 1u) * count + at;
        var c = states[of_c];
        if s < valid {
            c = kept.b * c + kept.a * kept.c;
            after = kept.d * tanh_of(c);
        }
        states[of_c + count] = c;
    }
    states[at + count] = after;
    if kind > 1u {
        gates[g] = kept.a;
        gates[g + units] = kept.b;
        gates[g + 2u * units] = kept.c;
        gates[g + 3u * units] = kept.d;
    }
    y[(b * steps + p) * units + j] = select(zero, after, s < valid);
}
