    // What the workgroup owns: of one part, $(R) rows from row0 and $(V) vectors of four columns a lane from column0. Rows
    // and columns beyond the end repeat the last one, and are not stored.
    let group = id.x + id.y * groups.x;
    let across = (columns() + $(V * L - 1)u) / $(V * L)u;
    let down = (rows() + $(R - 1)u) / $(R)u;
    let row0 = group / across % down * $(R)u;
    let column0 = group % across * $(V * L)u + lane;
    let part = group / (across * down);
    if part >= parts() {
        return;
    }
    //: for v in 0..V
    let column_$(v) = min(column0 + $(v * L)u, columns() - 1u);
    //: end
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
