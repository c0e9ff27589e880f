// V is $(W) channels side by side, 4 or 1; sizes count in multiples of it. first() is the vector of the first of four.
//: for vector in 4..W+1
alias V = vec4f;
fn first(x: vec4f) -> V { return x; }
//: end
//: for scalar in W..2
alias V = f32;
fn first(x: vec4f) -> V { return x.x; }
//: end
