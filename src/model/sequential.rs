//! The builder: a model in one expression.

use crate::error::{Error, Result};
use crate::model::{Custom, CustomLayer, Layer, Model, Normalisation, default_inputs};
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Height and width, given as `[h, w]` or as one number for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub [usize; 2]);

impl From<usize> for Pair {
    fn from(size: usize) -> Self {
        Pair([size; 2])
    }
}

impl From<[usize; 2]> for Pair {
    fn from(sizes: [usize; 2]) -> Self {
        Pair(sizes)
    }
}

/// Layers one behind the other.
///
/// ```
/// use wgrad::model::Sequential;
/// let model = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2).flatten().dense(10).build()?;
/// assert_eq!(model.classes()?, 10);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential(Model, Names);

/// Names that layers were given, and the first thing that was asked for and cannot be.
#[derive(Clone, Debug, Default)]
struct Names {
    places: BTreeMap<String, usize>,
    wrong: Option<String>,
}

impl Names {
    /// Notes that an option stands behind a layer that has none of its kind.
    fn misplaced(&mut self, what: &str, expected: &str) {
        self.wrong.get_or_insert_with(|| format!("found {what} behind another layer, expected it behind a {expected}"));
    }
}

impl Sequential {
    /// No layers yet, for images of height, width and channels.
    pub fn new(input: [usize; 3]) -> Self {
        let (name, normalisation) = ("sequential".into(), Normalisation::default());
        let model =
            Model { name, input, layers: Vec::new(), normalisation, class_names: Vec::new(), inputs: default_inputs() };
        Sequential(model, Names::default())
    }

    /// Names the model, and with it its run folder.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Turns bytes into floats by `byte · scale + shift`; by default they become 0–1.
    pub fn normalise(mut self, scale: f32, shift: f32) -> Self {
        self.0.normalisation = Normalisation { scale, shift };
        self
    }

    /// Adds a layer.
    pub fn layer(mut self, layer: Layer) -> Self {
        self.0.layers.push(layer);
        self
    }

    /// Adds a convolution of stride 1 without padding.
    pub fn conv2d(self, filters: usize, kernel: impl Into<Pair>) -> Self {
        self.conv2d_with(filters, kernel, 1, Padding::Valid)
    }

    /// Adds a convolution.
    pub fn conv2d_with(
        self,
        filters: usize,
        kernel: impl Into<Pair>,
        stride: impl Into<Pair>,
        padding: Padding,
    ) -> Self {
        let (kernel, stride) = (kernel.into().0, stride.into().0);
        self.layer(Layer::Conv2d { filters, kernel, stride, padding, dilation: [1, 1], groups: 1 })
    }

    /// Adds a convolution of each channel alone, of stride 1 without padding.
    pub fn depthwise_conv2d(self, kernel: impl Into<Pair>) -> Self {
        self.depthwise_conv2d_with(kernel, 1, Padding::Valid)
    }

    /// Adds a convolution of each channel alone.
    pub fn depthwise_conv2d_with(self, kernel: impl Into<Pair>, stride: impl Into<Pair>, padding: Padding) -> Self {
        let (kernel, stride) = (kernel.into().0, stride.into().0);
        self.layer(Layer::DepthwiseConv2d { kernel, stride, padding, dilation: [1, 1], multiplier: 1 })
    }

    /// Adds a transposed convolution of stride 1 without padding.
    pub fn conv_transpose2d(self, filters: usize, kernel: impl Into<Pair>) -> Self {
        self.conv_transpose2d_with(filters, kernel, 1, Padding::Valid)
    }

    /// Adds a transposed convolution.
    pub fn conv_transpose2d_with(
        self,
        filters: usize,
        kernel: impl Into<Pair>,
        stride: impl Into<Pair>,
        padding: Padding,
    ) -> Self {
        self.layer(Layer::ConvTranspose2d { filters, kernel: kernel.into().0, stride: stride.into().0, padding })
    }

    /// Gives the last layer, a convolution or a depthwise one, rows and columns from one tap to the next.
    pub fn dilated(mut self, by: impl Into<Pair>) -> Self {
        match self.0.layers.last_mut() {
            Some(Layer::Conv2d { dilation, .. } | Layer::DepthwiseConv2d { dilation, .. }) => *dilation = by.into().0,
            _ => self.1.misplaced("a dilation", "conv2d or depthwise_conv2d"),
        }
        self
    }

    /// Divides the channels and filters of the last layer, a convolution, into groups.
    pub fn grouped(mut self, into: usize) -> Self {
        match self.0.layers.last_mut() {
            Some(Layer::Conv2d { groups, .. }) => *groups = into,
            _ => self.1.misplaced("groups", "conv2d"),
        }
        self
    }

    /// Gives the last layer, a depthwise convolution, so many filters for each channel.
    pub fn multiplied(mut self, by: usize) -> Self {
        match self.0.layers.last_mut() {
            Some(Layer::DepthwiseConv2d { multiplier, .. }) => *multiplier = by,
            _ => self.1.misplaced("a multiplier", "depthwise_conv2d"),
        }
        self
    }

    /// Adds an activation with its default slope, such as `Function::Gelu`.
    pub fn activation(self, function: Function) -> Self {
        self.layer(Layer::Activation { function, slope: function.slope().unwrap_or(0.0) })
    }

    /// Adds `x` where `x > 0`, else `slope · x`.
    pub fn leaky_relu(self, slope: f32) -> Self {
        self.layer(Layer::Activation { function: Function::LeakyRelu, slope })
    }

    /// Adds a dropout of that rate, at least 0 and below 1.
    pub fn dropout(self, rate: f32) -> Self {
        self.layer(Layer::Dropout { rate })
    }

    /// Gives the last layer a name, for [`Sequential::add_from`] and [`Sequential::concat_from`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        let wrong = match self.0.layers.len().checked_sub(1) {
            None => Some(format!("found the name {name:?} before the first layer, expected it behind one")),
            Some(last) => self.1.places.insert(name.clone(), last).map(|place| {
                format!("found the name {name:?} for layer {last} and for layer {place}, expected it once")
            }),
        };
        self.1.wrong = self.1.wrong.or(wrong);
        self
    }

    /// Adds the result of the layer of that name to the last one: a residual connection.
    pub fn add_from(mut self, name: &str) -> Self {
        let from = self.place(name);
        self.layer(Layer::Add { from })
    }

    /// Puts the channels (or features) of the layer of that name behind those of the last result.
    pub fn concat_from(mut self, name: &str) -> Self {
        let from = self.place(name);
        self.layer(Layer::Concat { from })
    }

    /// Where the layer of that name is; what is not there is said by `build`.
    fn place(&mut self, name: &str) -> usize {
        let place = self.1.places.get(name).copied();
        if place.is_none() && self.1.wrong.is_none() {
            let hint = crate::near::hint(name, self.1.places.keys().map(|name| &name[..]));
            self.1.wrong = Some(format!("found no earlier layer of the name {name:?}, expected one{hint}"));
        }
        place.unwrap_or(usize::MAX)
    }

    /// Adds a nearest-neighbour upsampling.
    pub fn upsample2d(self, factor: impl Into<Pair>) -> Self {
        self.layer(Layer::Upsample2d { factor: factor.into().0 })
    }

    /// Adds `max(x, 0)`.
    pub fn relu(self) -> Self {
        self.layer(Layer::Relu {})
    }

    /// Adds a max pool whose windows stand side by side.
    pub fn max_pool2d(self, size: impl Into<Pair>) -> Self {
        let size = size.into();
        self.max_pool2d_with(size.0, size.0)
    }

    /// Adds a max pool.
    pub fn max_pool2d_with(self, size: impl Into<Pair>, stride: impl Into<Pair>) -> Self {
        self.layer(Layer::MaxPool2d { size: size.into().0, stride: stride.into().0 })
    }

    /// Adds an average pool whose windows stand side by side.
    pub fn avg_pool2d(self, size: impl Into<Pair>) -> Self {
        let size = size.into();
        self.avg_pool2d_with(size.0, size.0)
    }

    /// Adds an average pool.
    pub fn avg_pool2d_with(self, size: impl Into<Pair>, stride: impl Into<Pair>) -> Self {
        self.layer(Layer::AvgPool2d { size: size.into().0, stride: stride.into().0 })
    }

    /// Adds the mean of each channel, as features.
    pub fn global_avg_pool2d(self) -> Self {
        self.layer(Layer::GlobalAvgPool2d {})
    }

    /// Adds the largest value of each channel, as features.
    pub fn global_max_pool2d(self) -> Self {
        self.layer(Layer::GlobalMaxPool2d {})
    }

    /// Adds a batch normalisation with an epsilon of 1e-5 and a momentum of 0.1, as PyTorch has them.
    pub fn batch_norm(self) -> Self {
        self.batch_norm_with(1e-5, 0.1)
    }

    /// Adds a batch normalisation; the momentum is the share of a batch in the running statistics.
    pub fn batch_norm_with(self, epsilon: f64, momentum: f64) -> Self {
        self.layer(Layer::BatchNorm { epsilon, momentum })
    }

    /// Adds a layer normalisation over the last axis, with an epsilon of 1e-5.
    pub fn layer_norm(self) -> Self {
        self.layer(Layer::LayerNorm { epsilon: 1e-5 })
    }

    /// Adds a flatten, which puts the features into C, H, W order.
    pub fn flatten(self) -> Self {
        self.layer(Layer::Flatten {})
    }

    /// Adds a dense layer.
    pub fn dense(self, units: usize) -> Self {
        self.layer(Layer::Dense { units })
    }

    /// Adds a layer of the application's own.
    pub fn custom(self, layer: impl CustomLayer + 'static) -> Self {
        self.layer(Layer::Custom(Custom(Arc::new(layer))))
    }

    /// The model, checked.
    ///
    /// # Errors
    /// [`crate::Error::Input`] as [`Model::check`].
    pub fn build(self) -> Result<Model> {
        if let Some(wrong) = self.1.wrong {
            return Err(Error::input(format!("model {}: {wrong}", self.0.name.escape_debug())));
        }
        self.0.check()?;
        Ok(self.0)
    }
}
