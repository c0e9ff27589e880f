//! Keys and files of normalisations over groups, gates and layers without a bias. Their values are compared with
//! PyTorch's in `tests/pytorch`.

use wgrad::model::{Model, Sequential};

#[test]
fn groups_and_gates_that_do_not_fit_are_refused() {
    let groups = |groups: usize| Sequential::new([4, 4, 6]).group_norm(groups).flatten().dense(3).build();
    assert!(groups(3).is_ok());
    let error = groups(4).unwrap_err().to_string();
    assert!(
        error.contains("layer 0 (group_norm): found 6 channels and groups = 4, expected channels in mult"),
        "{error}"
    );
    let gate = Sequential::new([4, 4, 6]).relu().named("x").global_avg_pool2d().dense(5).multiply_from("x");
    let error = gate.flatten().dense(3).build().unwrap_err().to_string();
    assert!(error.contains("layer 3 (multiply): found [4, 4, 6] and [5], expected results of one shape"), "{error}");
}

/// `bias = false` leaves a parameter out, and no other layer has the key.
#[test]
fn layers_without_a_bias_have_one_parameter() {
    let net = Sequential::new([6, 6, 2]).name("net").conv2d(4, 3).without_bias().depthwise_conv2d(2).without_bias();
    let net = net.conv_transpose2d(3, 2).without_bias().flatten().dense(3).without_bias();
    let model = net.build().unwrap();
    let names: Vec<String> = model.params().unwrap().into_iter().map(|param| param.name).collect();
    assert_eq!(names, ["0.weight", "1.weight", "2.weight", "4.weight"]);
    assert_eq!(model.to_toml().matches("bias = false\n").count(), 4);
    assert_eq!(model.to_json().unwrap().matches("\"bias\":false").count(), 4);
    assert_eq!(Model::from_toml(&model.to_toml(), "net.toml", "net").unwrap(), model);
    let error = Sequential::new([6, 6, 2]).relu().without_bias().flatten().dense(3).build().unwrap_err().to_string();
    assert!(
        error.contains("found bias = false after a layer that has no such key, expected it after \"conv2d\""),
        "{error}"
    );
}
