// ReLU and a 2 × 2 max pool after a sum, y and argmax [count]: of the four places of a window, given one after the other,
// the first largest. argmax is 4 where it is not above 0. bias is added where biased = 1, and not read where not.
override biased: u32;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;
var<private> most: f32;
var<private> best: u32;

// Takes the sum of place p of the window whose result is element `at`, in a column.
fn pool(p: u32, sum: f32, at: u32, column: u32) {
    if p == 0u {
        most = sum;
        best = 0u;
    } else {
        best = select(best, p, sum > most);
        most = max(most, sum);
    }
    if p == 3u {
        var value = most;
        if biased == 1u {
            value += bias[column];
        }
        y[at] = max(value, 0.0);
        argmax[at] = select(4u, best, value > 0.0);
    }
}
