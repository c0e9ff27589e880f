// With g = dy·gamma, x̂ = (x - mean)·scale and m elements in a group, group by group:
//   dx = scale·(g - Σ g / m - x̂·Σ g·x̂ / m).
// dy, x, dx [samples, places, channels], mean and scale [samples, parts], gamma [channels]; a group has channels / parts
// channels at every place. A workgroup has one group of a sample.
//: use group_runs
//: use standardise_dx
