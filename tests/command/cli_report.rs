//! `wgrad report`, and the page of a run, through the real binary.

use crate::common::Place;
use serde_json::Value;

/// The data that a page's script is given.
pub fn page_data(place: &Place, name: &str) -> Value {
    let html = String::from_utf8(place.read(name)).expect("text");
    let json = html.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("the data");
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn a_run_leaves_its_page_and_it_can_be_made_again() {
    let place = Place::new();
    for (run, device) in [("one", ""), ("two", "--device cpu")] {
        let done = place.trains(run, device);
        let file = format!("{run}/report.html");
        assert!(done.err.contains(&format!("saved {file}")), "{done:?}");
        let first = page_data(&place, &file);
        let metrics = place.lines(&format!("{run}/metrics.jsonl"));
        assert_eq!(first["runs"][0]["epochs"], Value::Array(metrics.clone()));
        assert_eq!(first["findings"]["confusion"]["accuracy"], metrics[1]["val_accuracy"], "the last epoch's");
        assert_eq!(first["findings"]["timings"]["batch_size"], 16);
        assert_eq!(first["runs"][0]["settings"]["train.batch_size"], "16");
        assert!(first["findings"]["filters"]["pictures"].as_array().is_some_and(|all| all.len() == 4));

        std::fs::remove_file(place.path(&file)).expect("the page was there");
        place.works(&format!("report {run}"));
        let second = page_data(&place, &file);
        for part in ["confusion", "mistakes", "filters", "maps", "model"] {
            assert_eq!(first["findings"][part], second["findings"][part], "{run}: {part}");
        }
        assert_eq!(first["runs"], second["runs"]);
    }
    place.works("report one two");
    let both = page_data(&place, "comparison.html");
    assert_eq!(both["runs"].as_array().map(Vec::len), Some(2));
    let differences = both["differences"].as_array().expect("a list");
    assert!(differences.iter().any(|one| one["key"] == "device" && one["values"][1] == "cpu"), "{differences:?}");
    place.works("report one two --out both.html");
    assert_eq!(both, page_data(&place, "both.html"));
}

#[test]
fn a_run_can_do_without_its_page() {
    let place = Place::new();
    place.trains("run", "--no-report --device cpu");
    assert!(!place.path("run/report.html").exists());
    place.works("report run --out page.html --device cpu");
    assert!(place.path("page.html").exists() && !place.path("run/report.html").exists());
}

/// Curves are shown whatever became of the data and the weights, and the page says what is missing.
#[test]
fn what_is_gone_is_said_and_the_rest_is_shown() {
    let place = Place::new();
    place.trains("run", "--device cpu --no-report");
    let page = |gone: &str| {
        let (from, aside) = (place.path(gone), place.path("aside"));
        std::fs::rename(&from, &aside).expect("it is moved");
        // A page that says more is left as it is.
        std::fs::remove_file(place.path("run/report.html")).expect("it was there");
        let done = place.works("report run");
        std::fs::rename(&aside, &from).expect("it is moved back");
        assert!(done.err.contains("note: ") && done.err.contains(gone), "{done:?}");
        page_data(&place, "run/report.html")
    };
    // A run that was stopped has no model yet: its last checkpoint stands for it.
    std::fs::remove_file(place.path("run/model.safetensors")).expect("it was there");
    place.works("report run");
    let found = page_data(&place, "run/report.html");
    assert_eq!(found["findings"]["confusion"]["accuracy"], place.lines("run/metrics.jsonl")[1]["val_accuracy"]);
    std::fs::remove_file(place.path("run/checkpoints/last.safetensors")).expect("it was there");
    place.trains("other", "--device cpu --no-report");
    std::fs::copy(place.path("other/model.safetensors"), place.path("run/model.safetensors")).expect("a copy");
    for gone in ["data", "run/model.safetensors"] {
        let found = page(gone);
        assert_eq!(found["runs"][0]["epochs"].as_array().map(Vec::len), Some(2));
        assert_eq!(found["findings"]["confusion"], Value::Null);
        assert!(found["findings"]["missing"]["confusion"].as_str().is_some_and(|why| why.contains(gone)), "{found}");
    }
}

#[test]
fn bad_runs_are_refused_by_name() {
    let place = Place::new();
    place.trains("run", "--device cpu --no-report");
    place.write("bad/config.toml", "model = \"tiny.toml\"\n");
    place.write("bad/device.json", "{}");
    place.write("bad/metrics.jsonl", "{\"epoch\":1}\nnonsense\n{}\n");
    for (line, status, expected) in [
        ("report", 2, "RUN"),
        ("report nowhere", 2, "nowhere"),
        ("report data", 2, "config.toml"),
        ("report bad", 2, "metrics.jsonl: line 2"),
        ("report run bad", 2, "metrics.jsonl: line 2"),
        ("report run --out nowhere/page.html --device cpu", 2, "nowhere/page.html"),
        ("report run --device nonsense", 2, "nonsense"),
        ("train --port 1234", 2, "--watch"),
    ] {
        let done = place.call(line);
        assert_eq!(done.status, Some(status), "{line}: {done:?}");
        assert!(done.err.contains(expected) && !done.err.contains("panicked"), "{line}: {done:?}");
    }
    let left: Vec<_> =
        place.path("").read_dir().expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}
