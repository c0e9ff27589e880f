// The states h and, where doubled = 1, c [count] of all rows within a tensor of states: from elements `first` and `second` on.
override count: u32;
override doubled: u32;
override first: u32;
override second: u32;
