// y[i] = Σ_s partials[s, i], then what lib/epilogue makes of it.
// partials [splits, rows, columns], bias [columns], mask and y [rows, columns].
//: use sum_rows
//: use epilogue
