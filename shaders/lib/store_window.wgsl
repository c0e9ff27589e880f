// A ReLU and the largest of a window's four places z (+ bias): y = max(0, max over p of z[p]), and argmax = the first p of the
// largest, or 4 where the largest is not above 0.
fn store_window(at: u32, z: mat4x4f, bias: vec4f) {
    var most = z[0];
    var best = vec4u(0u);
    //: for p in 1..4
    best = select(best, vec4u($(p)u), z[$(p)] > most);
    most = max(most, z[$(p)]);
    //: end
    most += bias;
    y[at] = max(most, vec4f(0.0));
    argmax[at] = select(vec4u(4u), best, most > vec4f(0.0));
}
