"""The report in a browser: opened from disk it draws every section, prints nothing to the console and loads nothing; and its
figures, each of which names its set, are those of metrics.jsonl and test.json."""

import json
import tempfile
from pathlib import Path

from chromium import Chromium
from wgrad import wgrad

SECTIONS = ["head", "contents", "curves", "confusion", "mistakes", "filters", "maps", "timings", "layers", "device", "settings"]


def check(browser, file, sections):
    """Opens a page in both colour schemes and at the width of a desk and of a phone."""
    for width, dark in [(1200, False), (390, True)]:
        browser.look(width, dark=dark)
        browser.console.clear()
        browser.requests.clear()
        browser.open(file.as_uri())
        browser.until("!!document.querySelector('footer')")
        assert browser.console == [], browser.console
        loaded = [url for url in browser.requests if not url.startswith("data:")]
        assert loaded == [file.as_uri()], loaded
        there = browser.ask("[...document.querySelectorAll('#page > [id]')].map((part) => part.id)")
        assert there == sections, there
        wide = browser.ask("document.documentElement.scrollWidth")
        assert wide == width, f"{wide} pixels on a page of {width}"
        paper = browser.ask("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
        assert all((int(part) < 60) == dark for part in paper), paper


def read(run):
    """The lines of metrics.jsonl, and test.json where a run has it."""
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    test = run / "test.json"
    return epochs, json.loads(test.read_text()) if test.exists() else None


def shown(key, value):
    return f"{value * 100:.2f} %" if key.endswith("accuracy") else f"{value:.4f}"


def check_figures(browser, run):
    """Every headline figure and every curve names its set, and has the value that the run's files give it."""
    epochs, test = read(run)
    last, validated = epochs[-1], "validation" if test else "test"
    expected = {(key, validated if key.startswith("val_") else "training"): last[key]
                for key in ["loss", "accuracy", "val_loss", "val_accuracy"]}
    if test:
        expected |= {(f"test_{key}", "test"): test[key] for key in ["loss", "accuracy", "top5_accuracy"]}
    else:
        # It is counted for the page alone.
        expected["val_top5_accuracy", "test"] = browser.ask("data.findings.top5_accuracy")
    figures = browser.ask("""[...document.querySelectorAll('#head [data-key]')].map((one) =>
        [one.dataset.key, one.dataset.set, one.querySelector('b').innerText, one.querySelector('span').innerText])""")
    assert {(key, of): text for key, of, text, _ in figures} == {
        (key, of): shown(key, value) for (key, of), value in expected.items()}, figures
    assert all(label.endswith(f", {of} set") for _, of, _, label in figures), figures
    best = min(epochs, key=lambda epoch: epoch["val_loss"])["epoch"]
    assert browser.ask("document.querySelector('#loss text.mark').textContent") == f"best: epoch {best}"
    head = browser.ask("document.getElementById('head').innerText")
    assert f"{best}\nbest epoch: loss" in head and "wgrad train --run-dir" in head, head
    for chart, key in [("loss", "loss"), ("accuracy", "accuracy")]:
        legend = browser.ask(f"[...document.querySelectorAll('#{chart} .legend span')].map((one) => one.innerText)")
        for name, of in [(key, "training"), (f"val_{key}", validated)]:
            assert f"{name}, {of} set{last[name]:.4f}" in [line.replace("\n", "") for line in legend], legend
    counts = browser.ask("document.querySelector('#confusion .lead').innerText")
    accuracy, samples = (test or {"accuracy": last["val_accuracy"]})["accuracy"], json.loads((run / "run.json").read_text())["samples"]["test"]
    assert counts.startswith(f"{round(samples * (1 - accuracy))} of {samples} images of the test set"), counts


def check_hover(browser):
    """The pointer over one chart shows the same epoch in all of them."""
    x, y = browser.ask("""(() => {
        const plot = document.querySelector('#loss .plot');
        plot.scrollIntoView({ block: 'center' });
        const box = plot.getBoundingClientRect();
        return [box.x + box.width * 0.6, box.y + box.height / 2];
    })()""")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.until("document.querySelectorAll('#curves .hair').length === 3")
    at = browser.ask("[...document.querySelectorAll('#curves .legend')].map((one) => one.lastChild.innerText)")
    assert len(set(at)) == 1 and at[0].startswith("at "), at
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)


def test_report():
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        run = Path(folder, "run").resolve()
        wgrad("train", "--run-dir", run, "--device", "cpu", "--train-limit", 6000, "--test-limit", 500, "--epochs", 3,
              "--log-steps", "--validation-split", 0.1)
        check(browser, run / "report.html", SECTIONS)
        count = lambda selector: browser.ask(f"document.querySelectorAll({selector!r}).length")
        assert count("#loss svg path") == 3, "steps, loss and val_loss"
        assert count("#accuracy svg path") == 2
        assert count("#confusion .matrix td") == 100
        total = browser.ask("[...document.querySelectorAll('.matrix td')].reduce((sum, td) => sum + Number(td.innerText), 0)")
        assert total == 500, total
        assert count("#mistakes .mistake") > 3 and count("#mistakes canvas") % 2 == 1, "pairs, and the scale"
        assert count("#filters .tiles canvas") == 32
        assert count("#maps .layer") == 3 and count("#maps details") == 1, "the input, the first and the last; one between"
        browser.ask("document.querySelector('#maps summary').click()")
        browser.until("document.querySelectorAll('#maps details canvas').length > 3")
        check_figures(browser, run)
        check_hover(browser)
        browser.ask("document.querySelectorAll('#confusion .views button')[1].click()")
        rows = browser.ask("""[...document.querySelectorAll('.matrix tbody tr')].map((row) =>
            [...row.querySelectorAll('td')].reduce((sum, td) => sum + Number(td.innerText), 0))""")
        # Ten roundings of a half at most.
        assert all(abs(row - 100) <= 5 for row in rows), rows
        assert count("#timings tbody tr") > 5
        # What is drawn is no blank: each canvas of a mistake has more than one colour.
        colours = browser.ask("""[...document.querySelectorAll('.mistake canvas')].map((canvas) => new Set(new Uint32Array(
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)""")
        assert min(colours) > 5, colours

        other = Path(folder, "other").resolve()
        wgrad("train", "--run-dir", other, "--device", "cpu", "--train-limit", 2000, "--test-limit", 200, "--epochs", 2)
        browser.open((other / "report.html").as_uri())
        browser.until("!!document.querySelector('footer')")
        check_figures(browser, other)
        both = Path(folder, "both.html").resolve()
        wgrad("report", run, other, "--out", both)
        check(browser, both, ["head", "contents", "final", "curves", "differences"])
        assert count("#val_loss svg path") == 2
        (epochs, test), (others, none) = read(run), read(other)
        assert none is None, "without a validation set the test set is what val_ is"
        expected = {"validation_accuracy": [epochs[-1]["val_accuracy"], None], "validation_loss": [epochs[-1]["val_loss"], None],
                    "test_accuracy": [test["accuracy"], others[-1]["val_accuracy"]],
                    "test_loss": [test["loss"], others[-1]["val_loss"]]}
        rows = browser.ask("""[...document.querySelectorAll('#final tbody tr')].map((row) => [row.querySelector('.name').innerText,
            Object.fromEntries([...row.querySelectorAll('[data-column]')].map((td) => [td.dataset.column, td.innerText]))])""")
        rows = dict(rows)
        for column, values in expected.items():
            for name, value in zip([f"{Path(folder).name}/run", f"{Path(folder).name}/other"], values):
                text = "–" if value is None else shown(column, value)
                assert rows[name][column].removesuffix(" ★") == text, (name, column, rows)
            best = (max if column.endswith("accuracy") else min)([value for value in values if value is not None])
            wins = [row for row in rows.values() if row[column].endswith("★")]
            assert len(values) - values.count(None) < 2 or [row[column] for row in wins] == [f"{shown(column, best)} ★"], rows
        first = lambda: browser.ask("document.querySelector('#final tbody tr .name').innerText")
        browser.ask("[...document.querySelectorAll('#final th')].find((th) => th.innerText.startsWith('run')).firstChild.click()")
        up = first()
        browser.ask("[...document.querySelectorAll('#final th')].find((th) => th.innerText.startsWith('run')).firstChild.click()")
        assert {up, first()} == set(rows), "a second click turns the order"
        assert browser.ask("document.getElementById('differences').innerText.includes('train_limit')")


if __name__ == "__main__":
    test_report()
    print("1 passed, 0 failed")
