#!/usr/bin/env python3
"""Loads a mnist-cnn `model.safetensors` written by wgrad into PyTorch, with no conversion, and evaluates it there.

    pip install torch safetensors numpy
    MNIST_DIR=<folder with the four unpacked IDX files> python3 load_in_pytorch.py model.safetensors

Prints one line of JSON: loss (mean cross-entropy), accuracy and samples over the 10,000 test images. A missing or
extra tensor, or another shape or dtype, is an error.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

if len(sys.argv) != 2:
    sys.exit(__doc__)
folder = os.environ.get("MNIST_DIR") or sys.exit("set MNIST_DIR to the folder with the four unpacked IDX files")

state = load_file(sys.argv[1])
model = Sequential(Conv2d(1, 32, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(5408, 10))
model.load_state_dict(state)
for name, tensor in state.items():
    if tensor.dtype != torch.float32:
        sys.exit(f"{name}: found {tensor.dtype}, expected torch.float32")


def read(name, offset):
    with open(os.path.join(folder, name), "rb") as f:
        return np.frombuffer(f.read(), np.uint8, offset=offset)


labels = torch.from_numpy(read("t10k-labels-idx1-ubyte", 8).astype(np.int64))
pixels = read("t10k-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
images = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
assert len(images) == len(labels) == 10000

with torch.no_grad():
    logits = torch.cat([model(batch) for batch in images.split(1000)])
print(json.dumps({
    "loss": F.cross_entropy(logits.double(), labels).item(),
    "accuracy": (logits.argmax(1) == labels).double().mean().item(),
    "samples": len(labels),
    "torch": torch.__version__,
}))
