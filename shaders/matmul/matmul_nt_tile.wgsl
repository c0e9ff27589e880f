// y[i, j] = Σ_t a[i, t] · b[j, t], then what lib/epilogue makes of it; where splits > 1, y[s, i, j] is the s-th part of the sum.
// a [batch, m, k], b [batch, n, k], bias [n], mask and y [batch, m, n], or y [splits, batch, m, n].
//: let B_TERMS = 1
//: use product_rows

fn b_at(t: u32, j: u32, end: u32) -> Vector {
    if j < n && t < end {
        return b[((item * n + j) * k + t) / $(V)u];
    }
    return Vector();
}
