"""The command under test: WGRAD names it, else it is the release build."""

import os
import subprocess
import time
from pathlib import Path

COMMAND = os.environ.get("WGRAD") or str(Path(__file__).resolve().parents[2] / "target" / "release" / "wgrad")

PATIENCE = 300  # seconds


def until(what, condition):
    """Waits for a condition to hold, and returns its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)
    return value


def environment():
    """Mesa complains where there is no runtime folder."""
    return {"XDG_RUNTIME_DIR": "/tmp", **os.environ}


def wgrad(*arguments, **options):
    """Runs the command and expects status 0; returns what it wrote to stdout."""
    command = [COMMAND, *map(str, arguments)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stderr}"
    return done.stdout
