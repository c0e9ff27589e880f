// The runs of a norm are the rows of [rows, channels]; eight invocations take every eighth channel of one.
override rows: u32;
override channels: u32;
const span = 8u;

fn runs() -> u32 { return rows; }
fn count() -> u32 { return channels; }
fn at(k: u32, i: u32) -> u32 { return k * channels + i; }
fn channel(k: u32, i: u32) -> u32 { return i; }
