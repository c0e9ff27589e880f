"""PyTorch's speed on an NVIDIA GPU, for docs/speed.md: training steps per second on random images on the device.

    python3 pytorch_gpu.py mnist-cnn|mnist-deep|resnet-small fused|graph BATCH
    python3 pytorch_gpu.py matmul SIZE

`fused` is a step at a time with the fused Adam, `graph` the whole step as a CUDA graph with the usual one; `matmul` is a product of
two matrices, in TFLOP/s. Float32 without TF32, images of resnet-small with their channels last; the median, minimum and maximum of
five epochs of 60,000 images, after a warm-up epoch, or of 20 products.
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


def normed(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


class Residual(nn.Sequential):
    """Adds what it is given to what its layers make of it."""

    def forward(self, x):
        return x + super().forward(x)


NETS = {
    "mnist-cnn": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 13 * 13, 10)),
    "mnist-deep": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Linear(128, 10)),
    "resnet-small": lambda: nn.Sequential(
        *normed(3, 16), *normed(16, 32), nn.MaxPool2d(2), Residual(*normed(32, 32), *normed(32, 32)),
        *normed(32, 64), nn.MaxPool2d(2), *normed(64, 128), nn.MaxPool2d(2), Residual(*normed(128, 128), *normed(128, 128)),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, 10)).to(memory_format=torch.channels_last),
}
SHAPES = {"resnet-small": (3, 32, 32)}
IMAGES = 60_000


def main(name, mode, batch):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    net = NETS[name]().to("cuda")
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=mode == "fused", capturable=mode == "graph")
    images = torch.rand(IMAGES, *SHAPES.get(name, (1, 28, 28)), device="cuda")
    if name in SHAPES:
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (IMAGES,), device="cuda")
    total = torch.zeros((), device="cuda")

    def step(x, y):
        adam.zero_grad(set_to_none=False)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        adam.step()
        total.add_(loss.detach())

    if mode == "graph":
        x, y = images[:batch].clone(), labels[:batch].clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step(x, y)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(x, y)

    def epoch():
        order = torch.randperm(IMAGES, device="cuda")
        for first in range(0, IMAGES // batch * batch, batch):
            chosen = order[first:first + batch]
            if mode == "graph":
                x.copy_(images[chosen])
                y.copy_(labels[chosen])
                graph.replay()
            else:
                step(images[chosen], labels[chosen])
        torch.cuda.synchronize()

    epoch()
    speeds = []
    for _ in range(5):
        begun = time.perf_counter()
        epoch()
        speeds.append(IMAGES // batch * batch / (time.perf_counter() - begun))
    speeds.sort()
    print(f"{name}, {mode}, batch {batch}: {speeds[2]:.0f} images/s ({speeds[0]:.0f} to {speeds[-1]:.0f})")


def matmul(size):
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = torch.randn(2, size, size, device="cuda")
    speeds = []
    for _ in range(25):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        speeds.append(2e-9 * size**3 / begin.elapsed_time(end))
    speeds = sorted(speeds[5:])
    print(f"matmul {size}: {speeds[10]:.1f} TFLOP/s ({speeds[0]:.1f} to {speeds[-1]:.1f})")


if __name__ == "__main__":
    if sys.argv[1] == "matmul":
        matmul(int(sys.argv[2]))
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
