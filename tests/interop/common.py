"""What the checks share: the command, MNIST as arrays, and small files."""

import json
import lzma
import os
import struct
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def call(program, *arguments, cwd):
    """Runs a program and returns what it wrote to stdout; another status than 0 is an error with all that it said."""
    done = subprocess.run([program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{program} {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def wgrad(*arguments, cwd):
    return call(os.environ["WGRAD"], *arguments, cwd=cwd)


def evaluate(file, data, cwd):
    """Loss, accuracy and the rest of `wgrad eval`."""
    return json.loads(wgrad("eval", file, "--data", data, "--json", "--device", "cpu", cwd=cwd))


def mnist(part="t10k"):
    """Images [N, 28, 28] and labels [N], from the repository."""
    def read(name, offset):
        return np.frombuffer(lzma.open(ROOT / "data" / f"{part}-{name}-ubyte.xz").read(), np.uint8, offset=offset)
    return read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)


def write_idx(folder, images, labels):
    """A data set whose training and test images are the same."""
    folder.mkdir(exist_ok=True)
    for part in ["train", "t10k"]:
        header = struct.pack(">4I", 2051, *images.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, len(labels)) + labels.tobytes())


def write_ppm(path, image):
    """A picture [H, W, 3]."""
    height, width, _ = image.shape
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + image.tobytes())
