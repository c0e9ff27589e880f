"""Published nets that a model file writes: PyTorch's random weights by the names of its modules, outputs by predict and ONNX."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from common import wgrad

CLASSES = 10


def named(*layers):
    """PyTorch's modules one after the other, by their place or a name."""
    net = nn.Sequential()
    for place, layer in enumerate(layers):
        name, module = layer if isinstance(layer, tuple) else (str(place), layer)
        net.add_module(name, module)
    return net


def conv(filters, kernel, module, **more):
    return {"type": "conv2d", "filters": filters, "kernel": kernel, "module": module, **more}


def dense(units, module):
    return {"type": "dense", "units": units, "module": module}


def norm(module):
    return {"type": "batch_norm", "module": module}


def pool(kind="max_pool2d"):
    return {"type": kind, "size": 2}


RELU, TANH, FLATTEN = {"type": "relu"}, {"type": "tanh"}, {"type": "flatten"}


def drop(rate):
    return {"type": "dropout", "rate": rate}


def lenet5():
    """LeCun and others, 1998, with means for pools and a class by softmax."""
    net = named(
        ("c1", nn.Conv2d(1, 6, 5, padding=2)), nn.Tanh(), nn.AvgPool2d(2), ("c3", nn.Conv2d(6, 16, 5)), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), ("c5", nn.Linear(400, 120)), nn.Tanh(), ("f6", nn.Linear(120, 84)), nn.Tanh(), ("out", nn.Linear(84, 10)))
    file = [conv(6, 5, "c1", padding=2), TANH, pool("avg_pool2d"), conv(16, 5, "c3"), TANH, pool("avg_pool2d"), FLATTEN,
            dense(120, "c5"), TANH, dense(84, "f6"), TANH, dense(10, "out")]
    return net, file, [28, 28, 1]


def pytorch_mnist():
    """The net of PyTorch's examples."""
    net = named(
        ("conv1", nn.Conv2d(1, 32, 3)), nn.ReLU(), ("conv2", nn.Conv2d(32, 64, 3)), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), ("fc1", nn.Linear(9216, 128)), nn.ReLU(), nn.Dropout(0.5), ("fc2", nn.Linear(128, 10)))
    file = [conv(32, 3, "conv1"), RELU, conv(64, 3, "conv2"), RELU, pool(), drop(0.25), FLATTEN, dense(128, "fc1"), RELU, drop(0.5),
            dense(10, "fc2")]
    return net, file, [28, 28, 1]


def simple_mnist_convnet():
    """The net of Keras's examples."""
    net = named(
        ("conv1", nn.Conv2d(1, 32, 3)), nn.ReLU(), nn.MaxPool2d(2), ("conv2", nn.Conv2d(32, 64, 3)), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), ("head", nn.Linear(1600, 10)))
    file = [conv(32, 3, "conv1"), RELU, pool(), conv(64, 3, "conv2"), RELU, pool(), FLATTEN, drop(0.5), dense(10, "head")]
    return net, file, [28, 28, 1]


def beautiful_mnist():
    """The net of tinygrad's example."""
    net = named(
        ("l1", nn.Conv2d(1, 32, 5)), nn.ReLU(), ("l2", nn.Conv2d(32, 32, 5)), nn.ReLU(), ("n1", nn.BatchNorm2d(32)), nn.MaxPool2d(2),
        ("l3", nn.Conv2d(32, 64, 3)), nn.ReLU(), ("l4", nn.Conv2d(64, 64, 3)), nn.ReLU(), ("n2", nn.BatchNorm2d(64)), nn.MaxPool2d(2),
        nn.Flatten(), ("head", nn.Linear(576, 10)))
    file = [conv(32, 5, "l1"), RELU, conv(32, 5, "l2"), RELU, norm("n1"), pool(), conv(64, 3, "l3"), RELU, conv(64, 3, "l4"), RELU,
            norm("n2"), pool(), FLATTEN, dense(10, "head")]
    return net, file, [28, 28, 1]


def mobilenet_v1():
    """Howard and others, 2017."""
    modules = [("stem", nn.Conv2d(3, 32, 3, 2, 1, bias=False)), ("stem_norm", nn.BatchNorm2d(32)), nn.ReLU()]
    file = [conv(32, 3, "stem", stride=2, padding=1, bias=False), norm("stem_norm"), RELU]
    before = 32
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for at, (filters, stride) in enumerate(blocks):
        apart, one = f"apart{at}", f"one{at}"
        modules += [
            (apart, nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False)), (f"{apart}_norm", nn.BatchNorm2d(before)), nn.ReLU(),
            (one, nn.Conv2d(before, filters, 1, bias=False)), (f"{one}_norm", nn.BatchNorm2d(filters)), nn.ReLU()]
        file += [
            {"type": "depthwise_conv2d", "kernel": 3, "stride": stride, "padding": 1, "bias": False, "module": apart},
            norm(f"{apart}_norm"), RELU, conv(filters, 1, one, bias=False), norm(f"{one}_norm"), RELU]
        before = filters
    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), ("fc", nn.Linear(1024, 10))]
    return named(*modules), [*file, {"type": "global_avg_pool2d"}, dense(10, "fc")], [64, 64, 3]


def model_file(size, layers):
    """TOML; its numbers, words, lists and flags are written as JSON's."""
    lines = [f"input = {size}"]
    for layer in layers:
        lines += ["[[layers]]", *(f"{key} = {json.dumps(value)}" for key, value in layer.items())]
    return "\n".join(lines) + "\n"


class Files(unittest.TestCase):
    def check(self, build):
        torch.manual_seed(3)
        net, layers, [height, width, channels] = build()
        images = np.random.default_rng(5).integers(0, 256, (8, height // 4, width // 4, channels)).repeat(4, 1).repeat(4, 2)
        x = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
        # Statistics of these pictures, so that nothing fades away on its way through the net.
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in norms:
            module.weight.data.uniform_(0.5, 1.5)
            module.momentum = 1.0
        with torch.no_grad():
            net.train()(x)
            single = net.eval()(x).log_softmax(1).double().numpy()
            wanted = net.double()(x.double()).log_softmax(1).numpy()
        net.float()
        tolerance = max(1e-5, 8 * np.abs(single - wanted).max())
        self.assertGreater(np.ptp(wanted, axis=0).max(), 1e-2, "the pictures give different answers")

        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "net.toml").write_text(model_file([height, width, channels], layers))
            save_file({key: value.contiguous() for key, value in net.state_dict().items()}, str(folder / "torch.safetensors"))
            wgrad("import", "torch.safetensors", "--model", "net.toml", "--out", "net.safetensors", cwd=folder)
            wgrad("export", "net.safetensors", "--onnx", "net.onnx", cwd=folder)
            session = onnxruntime.InferenceSession(str(folder / "net.onnx"), providers=["CPUExecutionProvider"])
            by_onnx = np.log(session.run(["probabilities"], {"input": x.numpy()})[0].astype(np.float64))
            files = [f"{n}.png" for n in range(len(images))]
            for file, image in zip(files, images.astype(np.uint8)):
                Image.fromarray(image if channels == 3 else image[:, :, 0]).save(folder / file)
            flags = ["--json", "--top", CLASSES, "--prepare", "none", "--device", "cpu"]
            answers = json.loads(wgrad("predict", "net.safetensors", *files, *flags, cwd=folder))
        by_predict = np.zeros((len(images), CLASSES))
        for row, answer in zip(by_predict, answers):
            for guess in answer["top"]:
                row[int(guess["label"])] = np.log(guess["probability"])
        errors = [np.abs(found - wanted).max() for found in (by_predict, by_onnx)]
        self.assertLessEqual(max(errors), tolerance)
        print(f"{build.__name__}: predict {errors[0]:.1e}, ONNX {errors[1]:.1e}")

    def test_lenet5(self):
        self.check(lenet5)

    def test_pytorch_mnist(self):
        self.check(pytorch_mnist)

    def test_simple_mnist_convnet(self):
        self.check(simple_mnist_convnet)

    def test_beautiful_mnist(self):
        self.check(beautiful_mnist)

    def test_mobilenet_v1(self):
        self.check(mobilenet_v1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
