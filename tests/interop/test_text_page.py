"""The report and the live page of nets that read text, in a browser: the prompt box answers as `wgrad generate` and `predict` do,
tokens are shaded by their losses, and each embedding is a picture with the names of its tokens."""

import json
import math
import os
import pty
import re
import subprocess
import tempfile
from pathlib import Path

from chromium import Chromium
from test_report_page import check
from wgrad import COMMAND, environment, until, wgrad

TEXT = "The cat sat on the mat, and the dog sat by the log.\nWho saw it? 12 birds did.\n" * 40
NET = 'input = { tokens = 12 }\n[[layers]]\ntype = "embedding"\nsize = 8\n[[layers]]\ntype = "gru"\nunits = 16\n' \
      '[[layers]]\ntype = "dense"\nunits = "vocabulary"\n'
FLAGS = ["--data", "a.txt", "--model", "net.toml", "--device", "cpu", "--batch-size", 16, "--lr", 0.02]
SECTIONS = ["head", "contents", "curves", "texts", "passages", "embeddings", "timings", "layers", "device", "settings"]


def check_passage(browser):
    """Every token is shaded by its loss, up to that of an even guess, and shows it when the pointer is over it."""
    findings = browser.ask("data.findings")
    tokens, guess = findings["passages"][0]["tokens"], math.log(len(findings["classes"]))
    shown = browser.ask("[...document.querySelectorAll('#passages [data-at]')].map((one) => [one.textContent, one.style.getPropertyValue('--loss')])")
    assert len(shown) == len(tokens) > 100
    for token, (text, shade) in zip(tokens, shown):
        assert text == token["text"].replace("\n", "↵\n"), (text, token)
        assert shade == "" if token["loss"] is None else abs(float(shade) - min(1, token["loss"] / guess)) < 1e-3, (shade, token)
    losses = [token["loss"] for token in tokens if token["loss"] is not None]
    lead = browser.ask("document.querySelector('#passages .lead').innerText")
    mean = float(re.search(r"loss ([\d.]+), perplexity", lead)[1])
    assert abs(mean - sum(losses) / len(losses)) < 1e-4, (mean, losses)
    at = max(range(1, len(tokens)), key=lambda at: tokens[at]["loss"])
    x, y = browser.ask(f"""(() => {{
        const one = document.querySelector('#passages [data-at="{at}"]');
        one.scrollIntoView({{ block: 'center' }});
        const box = one.getClientRects()[0];
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    told = browser.until("document.querySelector('#passages .told').innerText.includes('most likely') && document.querySelector('#passages .told').innerText")
    assert f"loss {tokens[at]['loss']:.3f}" in told and told.count("%") == 4, told
    # The keys go from there to the next.
    browser.ask("""document.querySelector('#passages .passage').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))""")
    assert browser.ask("document.querySelector('#passages .chosen').dataset.at") == str(at - 1)


def check_embeddings(browser):
    picture = browser.ask("data.findings.embeddings[0]")
    names = browser.ask("[...document.querySelectorAll('#embeddings svg text, #embeddings svg circle')].map((one) => one.querySelector('title').textContent)")
    signs = str.maketrans({" ": "␣", "\n": "↵"})
    assert sorted(names) == sorted(f"{name.translate(signs)}, {count:,} times in the training text" for name, _, count in picture["points"])
    assert browser.ask("document.querySelectorAll('#embeddings svg text').length") > 10
    share = f"{picture['shares'][0] * 100:.1f} % from left to right"
    assert share in browser.ask("document.getElementById('embeddings').innerText"), share


def test_report(folder, browser):
    wgrad("train", *FLAGS, "--run-dir", "run", "--epochs", 6, cwd=folder)
    # No server answers a report from disk, so it has no box.
    check(browser, Path(folder, "run", "report.html").resolve(), SECTIONS)
    check_passage(browser)
    check_embeddings(browser)


def test_live(folder, browser):
    ours, theirs = pty.openpty()
    arguments = ["train", *FLAGS, "--watch", "--port", 0, "--run-dir", "live", "--epochs", 4]
    log = open(os.path.join(folder, "log"), "w+")
    run = subprocess.Popen([COMMAND, *map(str, arguments)], cwd=folder, env=environment(), stdin=theirs,
                           stdout=subprocess.DEVNULL, stderr=log)
    try:
        told = lambda: re.search(r"live page: (\S+)", open(log.name).read())
        url = until("the address", lambda: run.poll() is not None or told()) and told()[1]
        browser.look(1200)
        browser.console.clear()
        browser.open(url)
        browser.until("document.querySelector('#progress').innerText.includes('ended')")
        assert browser.ask("[...document.querySelectorAll('#page > [id]')].map((part) => part.id)") == \
            SECTIONS[:2] + ["prompting"] + SECTIONS[2:]
        assert browser.ask("document.querySelectorAll('#texts .text').length") == 4
        browser.until("!!document.querySelector('#passages [data-at]')")
        for prompt, temperature, tokens, seed in [("The c", 0, 30, 0), ("", 0.8, 50, 1)]:
            browser.ask(f"""(() => {{
                document.getElementById('reply').replaceChildren();
                for (const [id, value] of Object.entries({json.dumps({"prompt": prompt, "temperature": temperature, "tokens": tokens})}))
                    document.getElementById(id).value = value;
                document.getElementById('send').click();
            }})()""")
            browser.until("!!document.querySelector('#reply pre')")
            found = browser.ask("document.querySelector('#reply pre').textContent")
            told = json.loads(wgrad("generate", "live", "--prompt", prompt, "--temperature", temperature, "--tokens", tokens,
                                    "--seed", seed, "--device", "cpu", "--json", cwd=folder))
            assert found == prompt + told["text"], (found, told)
        browser.ask("document.getElementById('prompt').value = 'é'; document.getElementById('send').click()")
        browser.until("document.querySelector('#reply').innerText.includes('the model does not know its characters')")
        # The browser itself tells of the refusal.
        assert all("400" in line for line in browser.console), browser.console
    finally:
        run.kill()
        run.wait()
        os.close(ours)
        os.close(theirs)
        log.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        Path(folder, "a.txt").write_text(TEXT)
        Path(folder, "net.toml").write_text(NET)
        test_report(folder, browser)
        test_live(folder, browser)
    print("2 passed, 0 failed")
