//! Pools, upsampling, activations and layers that join earlier ones, forward and backward.

use crate::net::Net;
use crate::ops::{PLAIN, Stored, chain, every_of, layered, ops};
use wgrad::model::layers::*;
use wgrad::model::{Build, Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::pointwise::activation::Function;
use wgrad::plan::fuse::{Stage, fuse};

/// Holds the layer of each case of a kind in a table to PyTorch; `holds` says which ops it must be made of.
pub fn hold_in(table: &str, kind: &str, layer: impl Fn(&Stored) -> LayerEntry, holds: &[&str]) {
    every_of(table, kind, |case| {
        let layers = [layer(case)];
        let net = layered(case, PLAIN, &[""], |g, x| vec![chain(g, 0, x, &layers)]);
        for op in holds {
            assert!(ops(&net).contains(op), "{}: {:?}", case.label, ops(&net));
        }
        net.check(&case.label)
    });
}

fn hold(kind: &str, layer: impl Fn(&Stored) -> LayerEntry, holds: &[&str]) {
    hold_in("layers", kind, layer, holds);
}

#[test]
fn average_pool() {
    let layer = |case: &Stored| {
        LayerEntry::from(AvgPool2d { stride: case.pair("stride"), ..AvgPool2d::new(case.pair("window")) })
    };
    hold("avg_pool", layer, &["avg_pool2d", "avg_pool2d_dx"]);
}

#[test]
fn global_average_pool() {
    hold("global_avg", |_| LayerEntry::from(GlobalAvgPool2d::new()), &["avg_pool2d", "avg_pool2d_dx"]);
}

/// Of several equal maxima the first has the gradient.
#[test]
fn global_max_pool() {
    hold("global_max", |_| LayerEntry::from(GlobalMaxPool2d::new()), &["max_pool2d", "max_pool2d_dx"]);
}

#[test]
fn nearest_neighbour_upsampling() {
    let layer = |case: &Stored| LayerEntry::from(Upsample2d::new(case.pair("factor")));
    hold("upsample", layer, &["upsample2d", "upsample2d_dx"]);
}

#[test]
fn activations() {
    let seen = std::cell::RefCell::new(Vec::new());
    let layer = |case: &Stored| {
        let function = Function::named(case.value("name").as_str().unwrap()).unwrap();
        seen.borrow_mut().push(function);
        LayerEntry::from(Activation { function, slope: case.value("slope").as_f64().unwrap_or(0.0) as f32 })
    };
    hold("activation", layer, &["activation", "activation_dx"]);
    let missing: Vec<_> = Function::ALL.iter().filter(|function| !seen.borrow().contains(function)).collect();
    assert!(missing.is_empty(), "no case of {missing:?}");
}

/// A model, filled by the names of its weight file, with the gradients of its input and of all its parameters.
fn whole(case: &Stored, model: &Model, fused: bool) -> Net {
    let mut net = Net::default();
    let x = net.input("x", &case.get("x"));
    let y = model.build(&mut net.graph, x, Build::INFERENCE).unwrap();
    if fused {
        fuse(&mut net.graph, &[y], Stage::Forward);
    }
    let dy = net.input("dy", &case.get("dy"));
    let dx = net.backward(&[(y, dy)], &[x])[0];
    net.want("y", y, &case.get("y"), 1.0);
    net.want("dx", dx, &case.get("dx"), 1.0);
    for param in 0..net.graph.params.len() {
        let (name, grad) = (net.graph.params[param].name.clone(), net.graph.params[param].grad.unwrap());
        net.fill(param, &case.get(&name));
        net.want(&format!("d{name}"), grad, &case.get(&format!("d{name}")), 1.0);
    }
    net
}

/// Every earlier layer here has more readers than one, so that its gradient is a sum.
#[test]
fn layers_that_join_earlier_ones() {
    every_of("layers", "joined", |case| {
        let name = case.value("name").as_str().unwrap();
        let (net, joins): (_, &[&str]) = match name {
            "residual" => {
                let net = Sequential::new([5, 6, 3]).conv2d_with(4, 3, 1, Padding::Same).named("stem").relu();
                let net = net.conv2d_with(4, 3, 1, Padding::Same).add_from("stem");
                (net.global_avg_pool2d().dense(3), &["add"])
            }
            "skip" => {
                let net = Sequential::new([4, 6, 2]).conv2d_with(3, 3, 1, Padding::Same).named("stem");
                (net.avg_pool2d([2, 3]).upsample2d([2, 3]).concat_from("stem").conv2d(5, 1), &["concat", "slice"])
            }
            "features" => {
                let net = Sequential::new([3, 2, 2]).flatten().dense(5).named("first").relu().dense(5);
                (net.add_from("first").concat_from("first").dense(3), &["add", "concat", "slice"])
            }
            "itself" => {
                let net = Sequential::new([4, 5, 3]).conv2d(3, [2, 3]).named("stem").add_from("stem");
                (net.concat_from("stem").global_avg_pool2d().dense(4), &["add", "concat", "slice"])
            }
            "gates" => {
                let net = Sequential::new([4, 5, 2]).conv2d(4, 3).named("stem").global_avg_pool2d().dense(4);
                let net = net.activation(Function::Sigmoid).multiply_from("stem");
                (net.flatten().dense(3), &["multiply", "multiply_db"])
            }
            "squares" => {
                let net = Sequential::new([3, 4, 2]).conv2d_with(3, 3, 1, Padding::Same).named("stem");
                let net = net.activation(Function::Tanh).multiply_from("stem").named("product");
                (net.multiply_from("product").global_avg_pool2d().dense(4), &["multiply"])
            }
            other => panic!("{other}"),
        };
        let model = net.build().unwrap();
        let check = |fused| {
            let net = whole(case, &model, fused);
            for op in joins {
                assert!(ops(&net).contains(op), "{name}: {:?}", ops(&net));
            }
            net.check(&format!("{} ({name}), fused: {fused}", case.label))
        };
        check(false).into_iter().zip(check(true)).map(|(plain, fused)| plain.worse(fused)).collect()
    });
}
