"""PyTorch's recurrent modules load what wgrad trained on a text, under the same names, and give the same loss."""

import json
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from common import wgrad

TEXT = "the cat sat on the mat, and the dog sat by the log. " * 30
NET = """input = {{ tokens = 12 }}
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "{layer}"
units = 10
layers = 2
[[layers]]
type = "dense"
units = "vocabulary"
"""
MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Net(nn.Module):
    def __init__(self, layer, tokens):
        super().__init__()
        self.add_module("0", nn.Embedding(tokens, 8))
        self.add_module("1", MODULES[layer](8, 10, 2, batch_first=True))
        self.add_module("2", nn.Linear(10, tokens))

    def forward(self, x):
        embedding, recurrent, dense = self.children()
        return dense(recurrent(embedding(x))[0])


class Text(unittest.TestCase):
    def test_pytorch_loads_the_weights(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "a.txt").write_text(TEXT)
        # The vocabulary is that of the training part, in the order of the code points.
        kept = TEXT[int(len(TEXT) * 0.9):]
        tokens = sorted(set(TEXT[:-len(kept)]))
        numbers = torch.tensor([tokens.index(c) for c in kept])
        for layer in MODULES:
            (folder / "net.toml").write_text(NET.format(layer=layer))
            flags = ["--data", "a.txt", "--model", "net.toml", "--batch-size", 16, "--epochs", 3, "--device", "cpu"]
            wgrad("train", *flags, "--run-dir", layer, "--no-report", cwd=folder)
            told = json.loads(wgrad("eval", layer, "--device", "cpu", "--json", cwd=folder))
            net = Net(layer, len(tokens))
            net.load_state_dict(load_file(folder / layer / "model.safetensors"))
            losses = [
                nn.functional.cross_entropy(net(numbers[None, at:at + 12])[0, :len(numbers) - 1 - at], numbers[at + 1:at + 13], reduction="sum")
                for at in range(0, len(numbers) - 1, 12)
            ]
            loss = sum(losses).item() / (len(numbers) - 1)
            self.assertAlmostEqual(told["loss"], loss, delta=1e-5, msg=layer)


if __name__ == "__main__":
    unittest.main()
