// y[r, c] = (x[r, c] - mean[r])·scale[r]·gamma[c] + beta[c], with mean[r] the mean of a row, and scale[r] =
// 1 / √(its biased variance + epsilon).
// x, y [rows, channels], mean and scale [rows], gamma and beta [channels]. A workgroup has eight rows.
//: use row_runs
//: use standardise
