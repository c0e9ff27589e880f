//! A batch that the device cannot hold is refused before the first step, and a smaller one is suggested, not used.

use crate::common::{Place, TINY, call, wgrad};

#[test]
fn a_smaller_batch_is_offered_where_one_fits() {
    let place = Place::with(28, [600, 20]);
    // 28 · 28 · 128 floats per sample: WebGPU's 128 MiB per binding hold 334 of them.
    let wide = "input = [28, 28, 1]\n[[layers]]\ntype = \"conv2d\"\nfilters = 128\nkernel = 1\n[[layers]]\n\
                type = \"flatten\"\n[[layers]]\ntype = \"dense\"\nunits = 4\n";
    place.write("wide.toml", wide);
    let line = "train --model wide.toml --data data --max-steps 1 --no-report";
    // With WebGPU's default limits, so that every adapter is too small.
    let call = |line: &str| {
        let mut command = wgrad();
        call(command.env("WGRAD_PORTABLE_LIMITS", "1").args(line.split_whitespace()), &place.path(""))
    };
    let done = call(&format!("{line} --batch-size 600"));
    let last = done.err.lines().last().unwrap_or_default();
    assert!(done.status == Some(2) && done.out.is_empty() && !place.path("runs").exists(), "{done:#?}");
    // The sum and the limit.
    for want in ["error: the plan needs a buffer of", "the adapter allows", "Its memory:", "; --batch-size "] {
        assert!(last.contains(want), "{want}: {last}");
    }
    let offer = last.split("--batch-size ").nth(1).and_then(|rest| rest.strip_suffix(" would fit"));
    let offer: usize = offer.and_then(|batch| batch.parse().ok()).unwrap_or_else(|| panic!("{last}"));
    assert_eq!(offer, 256, "the largest power of two that fits");
    // To train it takes long; to plan it does not.
    let done = call(&format!("plan wide.toml --batch-size {offer}"));
    assert_eq!(done.status, Some(0), "{done:#?}");
    let done = call(&format!("plan wide.toml --batch-size {}", offer * 2));
    assert!(done.status == Some(2) && done.err.contains("the adapter allows"), "{done:#?}");
}

#[test]
fn nothing_is_offered_where_the_batch_is_not_the_trouble() {
    let place = Place::new();
    place.write("large.toml", TINY.replace("units = 4", "units = 50000000"));
    for line in [
        "train --model large.toml --data data --batch-size 16",
        "train --model tiny.toml --data data --batch-size 61",
        "train --model tiny.toml --data data --batch-size 16 --freeze 9",
    ] {
        let done = place.call(line);
        assert!(done.status == Some(2) && !done.err.contains("would fit"), "{line}: {done:#?}");
    }
}
