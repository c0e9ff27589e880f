// The bias of four columns for lanes kernels: that of the file's `bias` where biased = 1, else zero.
override biased: u32;

fn bias_at(column: u32) -> vec4f {
    return select(vec4f(0.0), bias[column], biased == 1u);
}
