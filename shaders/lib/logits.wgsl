//: use logits_given

struct Largest {
    value: f32,
    index: u32,
}

// The first largest logit of the row that begins at element `row`.
fn largest(row: u32) -> Largest {
    var most = logits[row];
    var best = 0u;
    for (var first = 1u; first < classes; first += $(U)u) {
        //: for u in 0..U
        if first + $(u)u < classes {
            let c = first + $(u)u;
            let x = logits[row + c];
            best = select(best, c, x > most);
            most = max(most, x);
        }
        //: end
    }
    return Largest(most, best);
}

// Of the row's logits less `most`, the sums of their exponentials and of themselves.
fn sums(row: u32, most: f32) -> vec2f {
    var sum = 0.0;
    var all = 0.0;
    for (var first = 0u; first < classes; first += $(U)u) {
        var part = vec2f(0.0);
        //: for u in 0..U
        if first + $(u)u < classes {
            let x = logits[row + first + $(u)u] - most;
            part += vec2f(exp(x), x);
        }
        //: end
        sum += part.x;
        all += part.y;
    }
    return vec2f(sum, all);
}
