// y[n, p, c] = (x[n, p, c] - mean[n, g])·scale[n, g]·gamma[c] + beta[c] with g = c / width, mean[n, g] the mean over the
// places p and the channels c of group g, and scale[n, g] = 1 / √(their biased variance + epsilon).
// x, y [samples, places, channels], mean and scale [samples, parts], gamma and beta [channels]; width = channels / parts.
// A workgroup has one group of a sample.
//: use group_runs
//: use standardise
