"""Headless Chromium, driven over its remote debugging pipe: no driver and no further package.

Where no Chromium is installed, `install-chromium` beside this file fetches it on Debian and Ubuntu.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS = [
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
]
PATIENCE = 120  # seconds; a loaded machine is slow, a hung browser is for ever


def find():
    """The browser's path, after an attempt to install one where there is none."""
    if not any(map(shutil.which, NAMES)):
        subprocess.run([HERE / "install-chromium"], check=True)
    return next(filter(None, map(shutil.which, NAMES)))


class Chromium:
    """A browser with one page. Everything that its console prints, and every exception, is in `console`."""

    def __enter__(self):
        self.console, self.requests, self.count, self.buffer = [], [], 0, b""
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        # Chromium's sandbox refuses root, and a container often has no user namespaces for it.
        flags = FLAGS + ["--no-sandbox", f"--user-data-dir={self.profile.name}", "about:blank"]
        # The browser reads file 3 and writes file 4.
        script = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", find(), *flags], pass_fds=[theirs_in, theirs_out],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        [target] = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)
        self.profile.cleanup()

    def call(self, method, **params):
        """A command of the DevTools protocol; returns its result."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self):
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], PATIENCE)[0]:
                raise TimeoutError(f"the browser was silent for {PATIENCE} s")
            part = os.read(self.into, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.console.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.console.append(str(params["args"]))
        elif message.get("method") == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return message

    def look(self, width, height=900, dark=False):
        """Gives the page a size and a colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        """Opens a page and waits until it has loaded."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression):
        """Waits until an expression is true, and returns its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = self.ask(expression)
            if value:
                return value
            time.sleep(0.1)
        raise TimeoutError(f"never became true: {expression}")

    def stroke(self, points):
        """Draws with the mouse along points of the window."""
        def mouse(kind, point, buttons):
            self.call("Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], button="left", buttons=buttons,
                      clickCount=1)
        mouse("mousePressed", points[0], 1)
        for point in points[1:]:
            mouse("mouseMoved", point, 1)
        mouse("mouseReleased", points[-1], 0)

    def shoot(self, path):
        """Writes the whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(shot["data"]))
