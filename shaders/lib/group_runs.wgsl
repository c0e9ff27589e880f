// The runs of a norm are groups of channels / parts channels at every place of a sample [places, channels]; the invocations of
// a workgroup take every 64th element of one.
override samples: u32;
override places: u32;
override channels: u32;
override parts: u32;
const span = 64u;

fn width() -> u32 { return channels / parts; }
fn runs() -> u32 { return samples * parts; }
fn count() -> u32 { return places * width(); }
fn at(k: u32, i: u32) -> u32 { return (k / parts * places + i / width()) * channels + channel(k, i); }
fn channel(k: u32, i: u32) -> u32 { return k % parts * width() + i % width(); }
