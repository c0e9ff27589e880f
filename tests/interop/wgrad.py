"""The command under test: WGRAD names it, else it is the release build."""

import os
import subprocess
from pathlib import Path

COMMAND = os.environ.get("WGRAD") or str(Path(__file__).resolve().parents[2] / "target" / "release" / "wgrad")


def environment():
    """Mesa complains where there is no runtime folder."""
    return {"XDG_RUNTIME_DIR": "/tmp", **os.environ}


def wgrad(*arguments, **options):
    """Runs the command and expects status 0; returns what it wrote to stdout."""
    command = [COMMAND, *map(str, arguments)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stderr}"
    return done.stdout
