// Batch normalisation of x, channels V side by side at place c, by given statistics. The file that uses it declares
// gamma, beta, mean and variance, of Vs.
override epsilon: f32;

fn normal(x: V, c: u32) -> V {
    return (x - mean[c]) * inverseSqrt(variance[c] + epsilon) * gamma[c] + beta[c];
}
