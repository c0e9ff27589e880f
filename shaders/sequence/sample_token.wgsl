// tokens[b, step + 1] drawn from softmax(logits[b] / temperature) of the most likely tokens, where the prompt has none there.
// First the `top_k` largest logits are kept (with their equals), then of these the fewest of the largest whose probabilities
// come to `top_p`. u = pcg(key, step, b) / 2³² picks the first token at which their running sum exceeds u; at temperature 0 the
// largest logit is taken. loss[b] = -ln softmax(logits[b])[token], 0 within the prompt; correct[b] = 0.
// logits [batch, V]; tokens [batch, length]; loss, correct [batch]. A workgroup owns a row, an invocation a run of `part` tokens.
override vocabulary: u32;
override length: u32;
override part: u32;
override inverse_temperature: f32;
override greedy: u32;
override top_k: u32;
override top_p: f32;

//: use control
//: use random
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<u32>;

var<workgroup> sums: array<f32, 256>;
var<workgroup> most: array<f32, 256>;
var<workgroup> place: array<u32, 256>;

// Floats in their order as words.
fn ordered(x: f32) -> u32 {
    let bits = bitcast<u32>(x + 0.0);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

// The sum of all invocations' terms, in a fixed order.
fn total(lane: u32, term: f32) -> f32 {
    workgroupBarrier();
    sums[lane] = term;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    return sums[0];
}

fn weight(x: f32, largest: f32) -> f32 {
    return exp((x - largest) * inverse_temperature);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let b = group.x;
    let row = b * vocabulary;
    let first = min(lane * part, vocabulary);
    let last = min(first + part, vocabulary);
    // The largest logit, the first of equals.
    var best = first;
    for (var c = first; c < last; c += 1u) {
        if logits[row + c] > logits[row + best] {
            best = c;
        }
    }
    place[lane] = best;
    most[lane] = select(-3.4e38, logits[row + min(best, vocabulary - 1u)], first < last);
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half && (most[lane + half] > most[lane]
                || (most[lane + half] == most[lane] && place[lane + half] < place[lane])) {
            most[lane] = most[lane + half];
            place[lane] = place[lane + half];
        }
        workgroupBarrier();
    }
    let largest = most[0];
    var token = place[0];
    // The smallest that is kept, as an ordered word, found bit by bit.
    var least = 0u;
    if greedy == 0u && top_k > 0u && top_k < vocabulary {
        for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
            var count = 0.0;
            for (var c = first; c < last; c += 1u) {
                count += select(0.0, 1.0, ordered(logits[row + c]) >= (least | bit));
            }
            if total(lane, count) >= f32(top_k) {
                least |= bit;
            }
        }
    }
    if greedy == 0u && top_p < 1.0 {
        let kept = least;
        var mass = 0.0;
        for (var c = first; c < last; c += 1u) {
            mass += select(0.0, weight(logits[row + c], largest), ordered(logits[row + c]) >= kept);
        }
        let wanted = top_p * total(lane, mass);
        var cut = 0u;
        for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
            var above = 0.0;
            for (var c = first; c < last; c += 1u) {
                let key = ordered(logits[row + c]);
                above += select(0.0, weight(logits[row + c], largest), key >= (cut | bit) && key >= kept);
            }
            if total(lane, above) >= wanted {
                cut |= bit;
            }
        }
        least = max(least, cut);
    }
    var mine = 0.0;
    var whole = 0.0;
    for (var c = first; c < last; c += 1u) {
        let x = logits[row + c];
        mine += select(0.0, weight(x, largest), ordered(x) >= least);
        whole += exp(x - largest);
    }
    let all = total(lane, whole);
    workgroupBarrier();
    sums[lane] = mine;
    workgroupBarrier();
    if lane != 0u {
        return;
    }
    if greedy == 0u {
        var sum = 0.0;
        for (var i = 0u; i < 256u; i += 1u) {
            sum += sums[i];
        }
        let drawn = pcg(b ^ pcg(control.key ^ pcg(control.step)));
        let target_sum = f32(drawn >> 8u) / 16777216.0 * sum;
        // The run in which the target lies, the last one with a token where rounding leaves none.
        var before = 0.0;
        var at = 0u;
        var start = 0.0;
        for (var i = 0u; i < 256u; i += 1u) {
            if sums[i] > 0.0 && before <= target_sum {
                at = i;
                start = before;
            }
            before += sums[i];
        }
        let end = min((at + 1u) * part, vocabulary);
        var found = false;
        for (var c = at * part; c < end; c += 1u) {
            let x = logits[row + c];
            if ordered(x) >= least && !found {
                token = c;
                start += weight(x, largest);
                found = start > target_sum;
            }
        }
    }
    let next = control.step + 1u;
    let asked = next < length && tokens[b * length + min(next, length - 1u)] == 0xffffffffu;
    loss[b] = select(0.0, log(all) - (logits[row + token] - largest), asked);
    correct[b] = 0u;
    if asked {
        tokens[b * length + next] = token;
    }
}
