// The gradients of the weights and the bias of a convolution in groups of channels: partials [splits, terms() + 1, vectors()],
// whose last line is for the bias. A split has `per_split` of the n·oh rows of places; an invocation owns one sum V, of one
// channel of y or of four. The file that uses this declares x, dy and partials, V, and
//   terms(), vectors(): of one output, and of a place of dy; tap(term): the tap that a term is of;
//   first(vector, term): the first of x's channels (or vectors of them) that the two meet at;
//   x_at(pixel, first): what dy is multiplied by.
//: use grouped
override splits: u32;
override per_split: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    let lines = terms() + 1u;
    if e >= splits * lines * vectors() {
        return;
    }
    let vector = e % vectors();
    let term = e / vectors() % lines;
    let split = e / (vectors() * lines);
    let i = tap(term) / kw;
    let j = tap(term) % kw;
    let own = first(vector, term);
    var sum = V();
    for (var line = split * per_split; line < min((split + 1u) * per_split, n * oh); line += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = line % oh * sh + i * dilation_h - pt;
        let begin = (line / oh * h + row) * w;
        var of_line = V();
        for (var b = 0u; b < ow; b += 1u) {
            let column = b * sw + j * dilation_w - pl;
            let d = dy[(line * ow + b) * vectors() + vector];
            if term == terms() {
                of_line += d;
            } else if row < h && column < w {
                of_line += x_at(begin + column, own) * d;
            }
        }
        sum += of_line;
    }
    partials[e] = sum;
}
