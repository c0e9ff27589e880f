//! Gradients of whole nets on the oracle, compared with finite differences and with those of the fused graph.

mod net;

use crate::layer_types;
use net::*;
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::model::layers::keys::Value;
use wgrad::model::layers::*;
use wgrad::model::{Build, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::pointwise::activation::Function;
use wgrad::step::control::Control;

#[test]
fn a_small_net() {
    let net = Sequential::new([7, 6, 2]).conv2d_with(3, [3, 2], [2, 1], Padding::Same).relu();
    let model = net.max_pool2d_with(2, 1).flatten().dense(4).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

/// The shape of the reference net, whose convolution, ReLU and pool have a common form.
#[test]
fn a_small_reference_net() {
    let net = Sequential::new([8, 7, 1]).conv2d(3, 3).relu().max_pool2d(2).flatten().dense(3);
    let model = net.build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn relu_between_flatten_and_dense() {
    let pool = LayerEntry::from(MaxPool2d { stride: [2, 2], ..MaxPool2d::new([2, 2]) });
    let layers = [conv(3, [2, 2], [1, 1]), pool, flatten(), relu(), dense(5), relu(), dense(4)];
    check([4, 6, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn two_dense_layers_behind_one_flatten() {
    check([3, 4, 2], |graph, x| {
        let flat = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1]), flatten()]);
        let left = chain(graph, 2, flat, &[dense(4)]);
        let right = chain(graph, 3, flat, &[relu(), dense(4)]);
        add(graph, left, right)
    });
}

/// The summand of the features is in C, H, W order, so that the flatten must stay what it is.
#[test]
fn a_residual_connection_around_features() {
    check([3, 2, 2], |graph, x| {
        let flat = chain(graph, 0, x, &[conv(2, [2, 2], [1, 1]), relu(), flatten()]);
        let branch = chain(graph, 3, flat, &[dense(12), relu()]);
        let sum = add(graph, flat, branch);
        chain(graph, 5, sum, &[dense(3)])
    });
}

#[test]
fn a_residual_connection_between_convolutions() {
    check([5, 4, 2], |graph, x| {
        let stem = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1])]);
        let branch = chain(graph, 1, stem, &[relu(), conv(3, [3, 3], [1, 1])]);
        let sum = add(graph, stem, branch);
        chain(graph, 3, sum, &[relu(), flatten(), dense(4)])
    });
}

/// One tensor on both sides of a sum gets the gradient twice.
#[test]
fn a_tensor_added_to_itself() {
    check([4, 4, 1], |graph, x| {
        let stem = chain(graph, 0, x, &[conv(2, [3, 3], [2, 2]), relu()]);
        let twice = add(graph, stem, stem);
        chain(graph, 2, twice, &[flatten(), dense(3)])
    });
}

/// Weights that two layers share get the sum of both gradients.
#[test]
fn dense_weights_used_twice() {
    check([2, 3, 2], |graph, x| {
        let flat = Shape::from([BATCH, 12]);
        let features = chain(graph, 0, x, &[conv(2, [2, 2], [1, 1]), relu(), flatten()]);
        assert_eq!(graph.shape(features), flat.0);
        let first = chain(graph, 3, features, &[dense(12)]);
        let shared: Vec<Tensor> = graph.params.iter().rev().take(2).rev().map(|param| param.tensor).collect();
        let dense_again = wgrad::ops::matmul::matmul_nt::MatmulNt::default();
        graph.apply(dense_again, &[first, shared[0], shared[1]]).unwrap()[0]
    });
}

/// Overlapping windows, windows that leave places out, and the mean of a whole image.
#[test]
fn average_pools() {
    let pools = [
        LayerEntry::from(AvgPool2d { stride: [1, 2], ..AvgPool2d::new([2, 3]) }),
        LayerEntry::from(AvgPool2d { stride: [2, 3], ..AvgPool2d::new([1, 2]) }),
    ];
    for pool in pools {
        let layers = [conv(3, [2, 2], [1, 1]), relu(), pool, conv(2, [1, 1], [1, 1]), flatten(), relu(), dense(3)];
        check([6, 7, 2], |graph, x| chain(graph, 0, x, &layers));
    }
}

#[test]
fn global_pools() {
    for pool in [LayerEntry::from(GlobalAvgPool2d::new()), LayerEntry::from(GlobalMaxPool2d::new())] {
        let layers = [conv(5, [3, 3], [1, 1]), relu(), pool, dense(4), relu(), dense(3)];
        check([9, 8, 1], |graph, x| chain(graph, 0, x, &layers));
    }
}

/// Of images and of features, by the batch's statistics and, as inference has them, by given ones.
#[test]
fn batch_normalisation() {
    let norm = LayerEntry::from(BatchNorm { epsilon: 1e-2, momentum: 0.1 });
    // A bias right before it would have no gradient.
    let layers = [conv(3, [2, 2], [1, 1]), relu(), norm.clone(), flatten(), dense(5), relu(), norm.clone(), dense(4)];
    check_built([4, 5, 2], |graph, x, build| chain_built(graph, 0, x, &layers, build));
    let layers = [conv(3, [2, 2], [1, 1]), norm, relu(), flatten(), relu(), dense(4)];
    check([4, 5, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn layer_normalisation() {
    let norm = LayerEntry::from(LayerNorm { epsilon: 1e-2, ..LayerNorm::new() });
    let layers = [conv(3, [2, 2], [1, 1]), norm.clone(), relu(), flatten(), relu(), dense(5), norm, relu(), dense(4)];
    check([4, 5, 2], |graph, x| chain(graph, 0, x, &layers));
}

#[test]
fn every_activation_between_convolution_and_dense() {
    for &function in Function::ALL {
        let activation = LayerEntry::from(Activation { function, slope: function.slope().unwrap_or(0.0) });
        let layers = [conv(2, [3, 3], [2, 2]), activation.clone(), flatten(), activation, dense(3)];
        check([5, 4, 2], |graph, x| chain(graph, 0, x, &layers));
    }
}

/// The mask of the gradient is that of the value, between convolutions and between dense layers.
#[test]
fn dropout_with_one_mask_forward_and_backward() {
    check([5, 4, 2], |graph, x| {
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let dropout = |graph: &mut Graph, index: usize, x: Tensor| {
            LayerEntry::from(Dropout { rate: 0.25 }).build(index, graph, &[x], Build::training(control)).unwrap()
        };
        let features = chain(graph, 0, x, &[conv(3, [3, 3], [1, 1]), relu()]);
        let features = dropout(graph, 2, features);
        let flat = chain(graph, 3, features, &[flatten(), dense(12)]);
        let flat = dropout(graph, 5, flat);
        chain(graph, 6, flat, &[dense(3)])
    });
}

/// A ReLU and a pool whose results have a second consumer, further down.
#[test]
fn named_layers_added_and_concatenated() {
    let net = Sequential::new([6, 4, 2]).conv2d_with(3, 3, 1, Padding::Same).named("stem").relu().named("relu");
    let net = net.conv2d_with(3, 3, 1, Padding::Same).add_from("stem").relu().max_pool2d(2).named("pool");
    let net = net.conv2d_with(2, [2, 1], 1, Padding::Same).concat_from("pool").flatten().dense(5).named("units");
    let model = net.relu().concat_from("units").dense(3).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn convolutions_in_groups_and_with_dilation() {
    let (kernel, stride, padding) = ([3, 2], [1, 2], Padding::Same);
    let grouped =
        LayerEntry::from(Conv2d { filters: 4, kernel, stride, padding, dilation: [2, 1], groups: 2, bias: true });
    let apart = LayerEntry::from(DepthwiseConv2d {
        kernel,
        stride: [1, 1],
        padding,
        dilation: [1, 2],
        multiplier: 2,
        bias: true,
    });
    let layers = [grouped, relu(), apart, relu(), flatten(), dense(3)];
    check([5, 6, 2], |graph, x| chain(graph, 0, x, &layers));
}

/// Each of them reads what another layer reads, too.
#[test]
fn transposed_convolutions_in_an_encoder_and_decoder() {
    let net = Sequential::new([4, 4, 2]).conv2d_with(3, 2, 1, Padding::Same).relu().named("high");
    let net = net.conv2d_with(2, 3, 2, Padding::Same).named("low").conv_transpose2d_with(2, [2, 3], 1, Padding::Same);
    let net = net.add_from("low").named("sum").conv_transpose2d_with(3, [3, 2], 2, Padding::Same).relu();
    let net = net.concat_from("high").conv_transpose2d(2, [2, 1]).flatten().relu().dense(3);
    let model = net.build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

#[test]
fn upsampling_between_convolutions() {
    let layers = [
        conv(3, [3, 3], [2, 2]),
        relu(),
        LayerEntry::from(Upsample2d::new([3, 2])),
        conv(2, [2, 3], [1, 1]),
        flatten(),
    ];
    check([4, 3, 2], |graph, x| {
        let flat = chain(graph, 0, x, &layers);
        chain(graph, 5, flat, &[dense(3)])
    });
}

/// Every type of layer with its default keys, and again without its bias where it can do without one; it comes after a
/// function without kinks, since a pool or a ReLU after another would have ties.
#[test]
fn every_type_of_layer() {
    for kind in TYPES.iter() {
        let (model, at) = layer_types::around(kind);
        // Layers of texts are ops of sequences, whose gradients stand in `sequences.rs`.
        if model.text.is_some() {
            continue;
        }
        check_built(model.image().unwrap(), |graph, x, build| model.build(graph, x, build).unwrap());
        if let Some(changed) = model.layers[at].with("bias", Value::Flag(false)) {
            let mut model = model;
            model.layers[at] = changed;
            assert!(!model.params().unwrap().iter().any(|param| param.name == format!("{at}.bias")));
            check_built(model.image().unwrap(), |graph, x, build| model.build(graph, x, build).unwrap());
        }
    }
}

/// Squeeze-and-excitation: features gate the channels of an image, in either order, and a product of one shape.
#[test]
fn gates_of_channels() {
    let net = Sequential::new([4, 3, 2]).conv2d_with(4, 2, 1, Padding::Same).relu().named("image");
    let net = net.global_avg_pool2d().named("squeezed").dense(4).activation(Function::Sigmoid).named("gate");
    let net = net.multiply_from("image").named("gated").conv2d(4, 1).multiply_from("gate").multiply_from("gated");
    let model = net.multiply_from("squeezed").flatten().dense(3).build().unwrap();
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}

/// A layer reads an earlier result in place of the one before it, and several are joined at once.
#[test]
fn results_that_are_read_from_far() {
    let net = Sequential::new([4, 3, 2]).conv2d(3, 2).relu().named("a").conv2d(3, 1).named("b");
    let net = net.activation(Function::Tanh).reading("a").named("c").add_from("b").reading("a");
    let model = net.concat_from("c").reading("b").flatten().dense(3).build().unwrap();
    assert_eq!(model.infer().unwrap()[5].shape, [3, 2, 9]);
    check(model.image().unwrap(), |graph, x| model.build(graph, x, Build::INFERENCE).unwrap());
}
