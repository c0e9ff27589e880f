"""The tutorials as programs: their blocks, what they should write, and a way to bring a page up to date.

    python tutorial.py run_onnx     runs tutorial.md's commands, of its Python programs that one, and brings the page up to date
    python tutorial.py "" tutorial-masks.md     the same of another page

WGRAD_TORCH names a python that has PyTorch, if this one has not.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wgrad import COMMAND, environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
MASKS = ROOT / "docs" / "tutorial-masks.md"
TEXT = ROOT / "docs" / "tutorial-text.md"
FINETUNE = ROOT / "docs" / "tutorial-finetune.md"

BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.M | re.S)

# What differs from machine to machine is not on the page: the device and why it was chosen, how far
# an epoch is, notes.
ELSEWHERE = re.compile(r"^(device: .*|step \d.*|note: .*)\n", re.M)

# What a net writes after each epoch differs from device to device.
WRITTEN = re.compile(r"^  .*\n", re.M)


@dataclass
class Command:
    """A line after `$`, and the output that the page shows for it."""
    line: str
    output: str


def blocks(text):
    """(kind, text) of every block: kind is console or python."""
    return [match.groups() for match in BLOCK.finditer(text)]


def commands(block):
    """The commands of a console block."""
    parts = re.split(r"^\$ ", block, flags=re.M)[1:]
    return [Command(*(part.split("\n", 1))) for part in parts]


def shape(output):
    """An output in which every figure is #, and gaps, which depend on the length of figures, are one space.

    A time is #s, whether it is written 9s, 1:05 or 1:02:05.
    """
    output = re.sub(r"\d+(:\d\d)+", "#s", output)
    return re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "#", output)).strip()


class Place:
    """A folder in which a reader of the page works."""

    def __init__(self, page):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "wgrad").symlink_to(Path(COMMAND).resolve())
        torch = os.environ.get("WGRAD_TORCH", sys.executable)
        choice = f'case $1 in *torch*) exec "{torch}" "$@";; *) exec "{sys.executable}" "$@";; esac'
        (self.folder / "bin" / "python").write_text(f"#!/bin/sh\n{choice}\n")
        (self.folder / "bin" / "python").chmod(0o755)
        shutil.copy(ROOT / "examples" / "digit.jpg", self.folder)
        for kind, text in blocks(page.read_text()):
            if kind == "python":
                name = re.match(r"# (\w+\.py)", text)[1]
                (self.folder / name).write_text(text)

    def run(self, line):
        """Both outputs of a command as they come, without what differs from machine to machine."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(["sh", "-c", line], cwd=self.folder, env={**environment(), "PATH": path}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{line}: status {done.returncode}\n{done.stdout}"
        return ELSEWHERE.sub("", done.stdout)


def is_live(line):
    """Live pages have a test with a browser: test_live_page.py."""
    return "--watch" in line


def alike(line, found, expected):
    """Whether an output is that of the page, ignoring numbers, and texts that a net wrote beyond their prompt."""
    if line.startswith("wgrad generate"):
        prompt = re.search(r'--prompt "([^"]*)"', line)[1]
        return found.startswith(prompt) and expected.startswith(prompt)
    if line.startswith("wgrad train"):
        found, expected = WRITTEN.sub("", found), WRITTEN.sub("", expected)
    return shape(found) == shape(expected)


def answers(output):
    """The classes that an output names, and their shares in percent: `2 (99.13 %)` or `2 (99.13%)`."""
    return [(name, float(share)) for name, share in re.findall(r"(\w+) \(([\d.]+) ?%\)", output)]


def run(page):
    """Runs a page's commands and compares their output with the page, ignoring numbers: the outputs by subcommand."""
    place, seen = Place(page), {}
    try:
        for kind, text in blocks(page.read_text()):
            for command in commands(text) if kind == "console" else []:
                if is_live(command.line):
                    continue
                found = seen[command.line.split()[1]] = place.run(command.line)
                assert alike(command.line, found, command.output), f"$ {command.line}\n{found}\nthe page has\n{command.output}"
    finally:
        place.temporary.cleanup()
    return seen


def check():
    """Runs all pages; the answers of the Python programs are the same as those of `wgrad predict`.

    The other pages train for minutes, so WGRAD_TUTORIAL=short leaves them out."""
    if os.environ.get("WGRAD_TUTORIAL") != "short":
        run(MASKS)
        run(TEXT)
        compare(run(FINETUNE), ["torch_answer.py", "onnx_answer.py"])
    seen = run(PAGE)
    assert answers(seen["predict"])[0][0] == "2", seen["predict"]
    compare(seen, ["run_onnx.py", "run_pytorch.py"])


def compare(seen, scripts):
    """Holds the answers of Python programs to those of `wgrad predict`."""
    ours = answers(seen["predict"])
    for script in scripts:
        theirs = answers(seen[script])
        assert len(ours) == len(theirs) == 3, (ours, script, theirs)
        for (name, share), (other, other_share) in zip(ours, theirs):
            # Both are rounded to two decimals; what is not shown may fall to either side.
            near = abs(share - other_share) < 0.0101 and (name == other or share < 0.02)
            assert near, (ours, script, theirs)


def update(pattern, page):
    """Runs a page's commands, of its Python programs only those that match, and writes what they write into the page."""
    text, place = page.read_text(), Place(page)

    def rewritten(match):
        kind, body = match.groups()
        if kind != "console":
            return match[0]
        parts = []
        for command in commands(body):
            skipped = is_live(command.line) or command.line.startswith("python ") and not re.search(pattern, command.line)
            parts.append(f"$ {command.line}\n{command.output if skipped else place.run(command.line)}")
        return f"```console\n{''.join(parts)}```"

    page.write_text(BLOCK.sub(rewritten, text))
    place.temporary.cleanup()


if __name__ == "__main__":
    update(sys.argv[1], ROOT / "docs" / (sys.argv[2] if len(sys.argv) > 2 else PAGE.name))
