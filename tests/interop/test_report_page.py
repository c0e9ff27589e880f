"""The report in a browser: opened from disk it draws every section, prints nothing to the console and loads nothing."""

import tempfile
from pathlib import Path

from chromium import Chromium
from wgrad import wgrad

SECTIONS = ["head", "curves", "confusion", "mistakes", "filters", "maps", "timings", "layers", "device", "settings"]


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


def test_report():
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        run = Path(folder, "run").resolve()
        wgrad("train", "--run-dir", run, "--device", "cpu", "--train-limit", 6000, "--test-limit", 500, "--epochs", 3,
              "--log-steps")
        check(browser, run / "report.html", SECTIONS)
        count = lambda selector: browser.ask(f"document.querySelectorAll({selector!r}).length")
        assert count("#loss svg path") == 3, "steps, loss and val_loss"
        assert count("#accuracy svg path") == 2
        assert count("#confusion .matrix td") == 100
        total = browser.ask("[...document.querySelectorAll('.matrix td')].reduce((sum, td) => sum + Number(td.innerText), 0)")
        assert total == 500, total
        assert count("#mistakes .mistake") > 3 and count("#mistakes canvas") % 2 == 1, "pairs, and the scale"
        assert count("#filters .tiles canvas") == 32
        assert count("#maps .layer") == 4
        assert count("#timings tbody tr") > 5
        # What is drawn is no blank: each canvas of a mistake has more than one colour.
        colours = browser.ask("""[...document.querySelectorAll('.mistake canvas')].map((canvas) => new Set(new Uint32Array(
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)""")
        assert min(colours) > 5, colours

        other = Path(folder, "other").resolve()
        wgrad("train", "--run-dir", other, "--device", "cpu", "--train-limit", 2000, "--test-limit", 200, "--epochs", 2,
              "--no-report")
        both = Path(folder, "both.html").resolve()
        wgrad("report", run, other, "--out", both)
        check(browser, both, ["head", "final", "curves", "differences"])
        assert count("#val_loss svg path") == 2
        assert browser.ask("document.getElementById('differences').innerText.includes('train_limit')")


if __name__ == "__main__":
    test_report()
    print("1 passed, 0 failed")
