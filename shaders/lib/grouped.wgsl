// Sizes of a convolution in groups of channels, beside those of its window: taps are dilation_h rows and dilation_w columns
// apart; a group has `inner` channels of x and `outer` of y.
//: use window
override dilation_h: u32;
override dilation_w: u32;
override inner: u32;
override outer: u32;
