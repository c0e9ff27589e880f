//! Layers that join earlier ones: files, builder, and invalid joins.

use wgrad::model::layers::{Add, LayerEntry};
use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::ops::pointwise::activation::Function;

const JOINED: &str = r#"
input = [4, 4, 2]

[[layers]]
type = "conv2d"
filters = 3
kernel = 3
padding = "same"
name = "stem"

[[layers]]
type = "relu"

[[layers]]
type = "add"
from = "stem"
name = "sum"

[[layers]]
type = "gelu"

[[layers]]
type = "concat"
from = "sum"

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 3
"#;

/// File, builder, description and back; weights are named by place.
#[test]
fn earlier_layers_are_joined_by_name() {
    let net = Sequential::new([4, 4, 2]).name("net").conv2d_with(3, 3, 1, Padding::Same).named("stem").relu();
    let net = net.add_from("stem").named("sum").activation(Function::Gelu).concat_from("sum");
    let built = net.flatten().dense(3).build().unwrap();
    assert_eq!(Model::from_toml(JOINED, "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_toml(&built.to_toml(), "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_json(&built.to_json().unwrap()).unwrap(), built);
    let shapes: Vec<Vec<usize>> = built.infer().unwrap().into_iter().map(|layer| layer.shape).collect();
    assert_eq!((&shapes[2][..], &shapes[4][..]), (&[4, 4, 3][..], &[4, 4, 6][..]));
    let names: Vec<String> = built.params().unwrap().into_iter().map(|param| param.name).collect();
    assert_eq!(names, ["0.weight", "0.bias", "6.weight", "6.bias"]);
    assert!(built.summary().unwrap().contains("4 (concat, from 2)"));
}

#[test]
fn what_cannot_be_joined_is_named() {
    for (from, to, want) in [
        (
            "from = \"stem\"",
            "from = \"stme\"",
            "layer 2 (add): found from = \"stme\", expected the name of an earlier layer",
        ),
        ("from = \"stem\"", "from = \"sum\"", "line 16: layer 2 (add): found from = \"sum\", expected the name of an"),
        ("from = \"stem\"", "from = 0", "line 16: layer 2 (add): found from = 0, expected the name"),
        ("from = \"stem\"", "", "line 14: layer 2 (add): found no key from, expected the name"),
        (
            "name = \"sum\"",
            "name = \"stem\"",
            "line 17: layer 2 (add): found name = \"stem\", expected a text that names no",
        ),
        ("name = \"sum\"", "name = 3", "line 17: layer 2 (add): found name = 3, expected a text"),
        ("\"relu\"", "\"flatten\"", "line 14: layer 2 (add): found [48] and [4, 4, 3], expected results of one shape"),
        (
            "\"gelu\"",
            "\"flatten\"",
            "line 22: layer 4 (concat): found [48] and [4, 4, 3], expected results of one shape, but",
        ),
    ] {
        let error = Model::from_toml(&JOINED.replace(from, to), "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(want), "{to}: {error}");
    }
    let end = |net: Sequential| net.flatten().dense(3).build().unwrap_err().to_string();
    let net = || Sequential::new([4, 4, 2]).relu().named("first");
    assert!(
        end(net().add_from("frist")).contains("no earlier layer of the name \"frist\", expected one; did you mean")
    );
    assert!(end(net().relu().named("first")).contains("the name \"first\" for layer 1 and for layer 0"));
    assert!(end(Sequential::new([4, 4, 2]).named("x")).contains("the name \"x\" before the first layer"));
    for from in [1, 9, usize::MAX] {
        let error = end(net().layer(LayerEntry::from(Add::new()).reading([from])));
        assert!(error.contains("layer 1 (add): found from = "), "{error}");
    }
}
