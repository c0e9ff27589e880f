// y[i] = Σ_s partials[s, i], then what lib/epilogue_normal makes of it.
// partials [splits, places, columns], y [places, columns], bias, gamma, beta, mean and variance [columns].
//: use sum_rows
//: use epilogue_normal
