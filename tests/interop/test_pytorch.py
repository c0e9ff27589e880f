"""PyTorch loads what wgrad wrote, and wgrad imports what PyTorch saved: the same loss both ways."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from common import evaluate, mnist, wgrad, write_idx


class Net(nn.Module):
    """mnist-cnn, as a user would write it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.fc1 = nn.Linear(5408, 10)

    def forward(self, x):
        return self.fc1(nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2).flatten(1))


class Pytorch(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.addCleanup(self.temporary.cleanup)

    def test_pytorch_loads_the_weights(self):
        flags = ["--train-limit", 3000, "--test-limit", 100, "--epochs", 1, "--device", "cpu", "--run-dir", "run"]
        wgrad("train", *flags, cwd=self.folder)
        images, labels = mnist()
        write_idx(self.folder / "data", images, labels)
        script = Path(__file__).with_name("load_in_pytorch.py")
        environment = {**os.environ, "MNIST_DIR": str(self.folder / "data")}
        command = [sys.executable, str(script), str(self.folder / "run" / "model.safetensors")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        there = json.loads(done.stdout)
        here = evaluate("run/model.safetensors", "data", self.folder)
        print(f"torch {there['torch']}: loss {there['loss']:.7f}, here {here['loss']:.7f}")
        self.assertEqual(here["samples"], there["samples"])
        self.assertAlmostEqual(here["loss"], there["loss"], delta=1e-5)
        # A sample whose two largest logits are equal to a rounding may fall to either side.
        self.assertAlmostEqual(here["accuracy"], there["accuracy"], delta=1e-4)

    def test_wgrad_imports_named_modules(self):
        torch.manual_seed(1)
        net = Net()
        save_file(net.state_dict(), str(self.folder / "net.safetensors"))
        shown = wgrad("import", "net.safetensors", "--model", "mnist-cnn", "--out", "out.safetensors", cwd=self.folder)
        print(shown, end="")
        rows = [line.split()[:3] for line in shown.splitlines()[1:]]
        self.assertEqual(rows, [["0", "(conv2d)", "conv1.weight"], ["4", "(dense)", "fc1.weight"]])
        images, labels = (part[:100] for part in mnist())
        write_idx(self.folder / "data", images, labels)
        with torch.no_grad():
            logits = net(torch.from_numpy(images[:, None].astype(np.float32) / np.float32(255)))
        loss = nn.functional.cross_entropy(logits.double(), torch.from_numpy(labels.astype(np.int64))).item()
        found = evaluate("out.safetensors", "data", self.folder)
        self.assertAlmostEqual(found["loss"], loss, delta=1e-5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
