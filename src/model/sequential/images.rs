//! The builder's layers that move windows over images.

use super::Sequential;
use crate::model::layers::keys::{Field, Pair};
use crate::model::layers::*;
use crate::ops::conv::geometry::Padding;

impl Sequential {
    /// Adds a convolution of stride 1 without padding.
    pub fn conv2d(self, filters: usize, kernel: impl Into<Pair>) -> Self {
        self.layer(Conv2d::new(filters, kernel))
    }

    /// Adds a convolution.
    pub fn conv2d_with(
        self,
        filters: usize,
        kernel: impl Into<Pair>,
        stride: impl Into<Pair>,
        padding: Padding,
    ) -> Self {
        let (stride, padding) = (stride.into().0, padding);
        self.layer(Conv2d { stride, padding, ..Conv2d::new(filters, kernel) })
    }

    /// Adds a convolution of each channel alone, of stride 1 without padding.
    pub fn depthwise_conv2d(self, kernel: impl Into<Pair>) -> Self {
        self.layer(DepthwiseConv2d::new(kernel))
    }

    /// Adds a convolution of each channel alone.
    pub fn depthwise_conv2d_with(self, kernel: impl Into<Pair>, stride: impl Into<Pair>, padding: Padding) -> Self {
        self.layer(DepthwiseConv2d { stride: stride.into().0, padding, ..DepthwiseConv2d::new(kernel) })
    }

    /// Adds a transposed convolution of stride 1 without padding.
    pub fn conv_transpose2d(self, filters: usize, kernel: impl Into<Pair>) -> Self {
        self.layer(ConvTranspose2d::new(filters, kernel))
    }

    /// Adds a transposed convolution.
    pub fn conv_transpose2d_with(
        self,
        filters: usize,
        kernel: impl Into<Pair>,
        stride: impl Into<Pair>,
        padding: Padding,
    ) -> Self {
        self.layer(ConvTranspose2d { stride: stride.into().0, padding, ..ConvTranspose2d::new(filters, kernel) })
    }

    /// Gives the last layer, a convolution or a depthwise one, rows and columns from one tap to the next.
    pub fn dilated(self, by: impl Into<Pair>) -> Self {
        self.with("dilation", by.into().0.value())
    }

    /// Divides the channels and filters of the last layer, a convolution, into groups.
    pub fn grouped(self, into: usize) -> Self {
        self.with("groups", into.value())
    }

    /// Gives the last layer, a depthwise convolution, this number of filters for each channel.
    pub fn multiplied(self, by: usize) -> Self {
        self.with("multiplier", by.value())
    }

    /// Gives the last layer, a convolution or a pool, another padding.
    pub fn padded(self, padding: Padding) -> Self {
        self.with("padding", padding.value())
    }

    /// Lets the last window of the last layer, a pool, count that begins within the image and ends beyond it.
    pub fn ceil(self) -> Self {
        self.with("ceil", true.value())
    }

    /// Adds a nearest-neighbour upsampling.
    pub fn upsample2d(self, factor: impl Into<Pair>) -> Self {
        self.layer(Upsample2d::new(factor))
    }

    /// Adds a bilinear upsampling; the outer edges of both images lie on each other, as PyTorch has it by default.
    pub fn upsample2d_bilinear(self, factor: impl Into<Pair>) -> Self {
        self.layer(Upsample2d { mode: Interpolation::Bilinear, ..Upsample2d::new(factor) })
    }

    /// Adds the channels after the first `skip`, this many.
    pub fn slice(self, skip: usize, channels: usize) -> Self {
        self.layer(Slice { skip, ..Slice::new(channels) })
    }

    /// Mixes this many groups of channels.
    pub fn channel_shuffle(self, groups: usize) -> Self {
        self.layer(ChannelShuffle::new(groups))
    }

    /// Adds a max pool whose windows stand side by side.
    pub fn max_pool2d(self, size: impl Into<Pair>) -> Self {
        self.layer(MaxPool2d::new(size))
    }

    /// Adds a max pool.
    pub fn max_pool2d_with(self, size: impl Into<Pair>, stride: impl Into<Pair>) -> Self {
        self.layer(MaxPool2d { stride: stride.into().0, ..MaxPool2d::new(size) })
    }

    /// Adds an average pool whose windows stand side by side.
    pub fn avg_pool2d(self, size: impl Into<Pair>) -> Self {
        self.layer(AvgPool2d::new(size))
    }

    /// Adds an average pool.
    pub fn avg_pool2d_with(self, size: impl Into<Pair>, stride: impl Into<Pair>) -> Self {
        self.layer(AvgPool2d { stride: stride.into().0, ..AvgPool2d::new(size) })
    }

    /// Adds the mean of each channel, as features.
    pub fn global_avg_pool2d(self) -> Self {
        self.layer(GlobalAvgPool2d::new())
    }

    /// Adds the largest value of each channel, as features.
    pub fn global_max_pool2d(self) -> Self {
        self.layer(GlobalMaxPool2d::new())
    }

    /// Adds the means of windows that divide the image, rows × columns of them.
    pub fn adaptive_avg_pool2d(self, size: impl Into<Pair>) -> Self {
        self.layer(AdaptiveAvgPool2d::new(size))
    }
}
