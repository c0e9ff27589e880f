"""The live page in a browser: it follows a run, a digit is drawn on it with the mouse, and the net's probabilities appear."""

import math
import os
import pty
import re
import subprocess
import tempfile

from chromium import Chromium
from wgrad import COMMAND, environment, until


def draw_ring(browser):
    """A zero, tall as people write it."""
    x, y, side = browser.ask("""(() => {
        const board = document.getElementById('board');
        board.scrollIntoView({ block: 'center' });
        const box = board.getBoundingClientRect();
        return [box.x, box.y, box.width];
    })()""")
    turn = [2 * math.pi * i / 24 for i in range(25)]
    browser.stroke([(x + side * (0.5 + 0.2 * math.cos(a)), y + side * (0.5 + 0.3 * math.sin(a))) for a in turn])


def test_live_page():
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        # The page stays after the end because the command sits at a terminal, here one of ours.
        ours, theirs = pty.openpty()
        arguments = ["train", "--watch", "--port", "0", "--device", "cpu", "--run-dir", "run", "--epochs", "15",
                     "--train-limit", "20000", "--test-limit", "1000", "--quiet"]
        log = open(os.path.join(folder, "log"), "w+")
        run = subprocess.Popen([COMMAND, *arguments], cwd=folder, env=environment(), stdin=theirs,
                               stdout=subprocess.DEVNULL, stderr=log)
        try:
            told = lambda: re.search(r"live page: (\S+)", open(log.name).read())
            url = until("the address", lambda: run.poll() is not None or told()) and told()[1]
            browser.look(1200)
            browser.open(url)
            browser.until("!!document.querySelector('#filters canvas')")
            draw_ring(browser)
            browser.until("document.querySelectorAll('#verdict .odds .bar').length === 10")
            shares = browser.ask("[...document.querySelectorAll('#verdict .odds > span:nth-child(3n)')].map((s) => s.innerText)")
            total = sum(float(share.rstrip(" %")) for share in shares)
            assert abs(total - 100) < 1, f"ten figures of one decimal: {shares}"
            assert browser.ask("document.querySelectorAll('#seen canvas').length") == 2
            # Behind the first epochs a ring is a zero.
            browser.until("document.querySelector('#verdict .guess').innerText.startsWith('0')")
            ended = "document.querySelector('#progress').innerText.includes('ended')"
            grown = "document.querySelector('#progress').innerText + document.querySelector('#verdict').innerText"
            before = browser.ask(grown)
            browser.until(f"({grown}) !== {before!r} || {ended}")

            browser.until(ended)
            rows = browser.ask("document.querySelectorAll('#curves tbody tr').length")
            assert rows == 15, f"{rows} of 15 epochs"
            browser.until("document.querySelectorAll('#confusion .matrix td').length === 100")
            assert run.poll() is None, "the page stays"
            # The net still answers.
            browser.ask("document.getElementById('clear').click()")
            browser.until("document.querySelector('#verdict').innerText.startsWith('Nothing')")
            draw_ring(browser)
            browser.until("document.querySelector('#verdict .guess').innerText.startsWith('0')")
            assert browser.console == [], browser.console
            assert all(one.startswith((url, "data:")) or one == "about:blank" for one in browser.requests), browser.requests

            # A page from elsewhere: neither reads nor draws.
            browser.console.clear()
            browser.open("data:text/html,<p>elsewhere")
            for request in [f"'{url}state'", f"'{url}state', {{ mode: 'no-cors' }}",
                            f"'{url}draw', {{ method: 'POST', body: 'x'.repeat(100) }}"]:
                got = browser.ask(f"fetch({request}).then((a) => a.text(), () => 'refused').then((t) => t || 'nothing')")
                assert got in ("refused", "nothing"), got
        finally:
            run.kill()
            run.wait()
            os.close(ours)
            os.close(theirs)
            log.close()


if __name__ == "__main__":
    test_live_page()
    print("1 passed, 0 failed")
