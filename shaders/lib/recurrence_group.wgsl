    // What the workgroup owns: $(R) rows from row0, and `each` blocks of units; and the number of the step that it begins with.
    let group = id.x + id.y * groups.x;
    let across = (blocks + each - 1u) / each;
    let row0 = group / across * $(R)u;
    if row0 >= batch {
        return;
    }
    let begin = time[0];
