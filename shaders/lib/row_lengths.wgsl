// Rows of [batch, times, channels] and how many places of each are valid: all where limited = 0.
override batch: u32;
override times: u32;
override channels: u32;
override limited: u32;
@group(0) @binding(0) var<storage, read> lengths: array<u32>;

fn row_length(b: u32) -> u32 {
    if limited == 1u {
        return min(lengths[b], times);
    }
    return times;
}
