// With g = dy·gamma and x̂ = (x - mean)·scale, row by row: dx = scale·(g - Σ g / channels - x̂·Σ g·x̂ / channels).
// dy, x, dx [rows, channels], mean and scale [rows], gamma [channels]. A workgroup has eight rows.
//: use row_runs
//: use standardise_dx
