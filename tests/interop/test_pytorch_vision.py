"""Nets of torchvision and timm, imported by the names of their modules: outputs by predict and ONNX, and the gradients of a step.

Each has torchvision's own random weights, with statistics and scales of its normalisations drawn anew, so that none is 0 or 1.
Most of them run where WGRAD_TUTORIAL is not "short".
"""

import json
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import published
from common import wgrad, write_ppm

CLASSES = 10
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# The net, the height and width of its input, whether a step is compared as well.
NETS = {
    "resnet18": (40, True),
    "mobilenet_v3_small": (48, True),
    "shufflenet_v2_x1_0": (48, True),
    "mixer_s16_224": (64, True),
    "unet": (32, True),
}
# Those that take longer, or are made of the same layers as one above.
OTHERS = {
    "resnet34": (48, False),
    "resnet50": (48, False),
    "regnet_y_400mf": (48, False),
    "mobilenet_v2": (48, False),
    "efficientnet_b0": (48, True),
    "convnext_tiny": (64, True),
    "squeezenet1_1": (49, False),
    "densenet121": (48, False),
    "googlenet": (64, False),
    "inception_v3": (96, False),
    "vit_tiny_patch16_224": (32, False),
    "vit_b_16": (32, False),
    "fcn_resnet50": (48, True),
    "deeplabv3_resnet50": (48, False),
    "wrn16_8": (32, False),
    "resnet9": (32, False),
    "alexnet": (224, False),
    "vgg11": (224, False),
    "vgg16": (224, False),
    "vgg16_bn": (224, False),
}
if os.environ.get("WGRAD_TUTORIAL") != "short":
    NETS |= OTHERS

# Nets for a class per pixel.
OF_PIXELS = ["unet", "fcn_resnet50", "deeplabv3_resnet50"]

# Of what PyTorch's own single precision is off; sums are made in another order here.
ORDER = 8


def untrained(name, size):
    if own := getattr(published, name, None):
        return own(CLASSES, size) if name.startswith(("vit", "mixer")) else own(CLASSES)
    if name in OF_PIXELS:
        net = getattr(torchvision.models.segmentation, name)(num_classes=CLASSES, weights_backbone=None, aux_loss=False)
        forward = net.forward
        net.forward = lambda x: forward(x)["out"]
        return net
    # As torchvision makes these nets for its weights.
    more = {"aux_logits": False, "transform_input": True, "init_weights": False} if name in ["googlenet", "inception_v3"] else {}
    if name.startswith("vit"):
        more = {"image_size": size}
    return getattr(torchvision.models, name)(num_classes=CLASSES, **more)


def torch_net(name, size):
    torch.manual_seed(3)
    net = untrained(name, size)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
        if isinstance(module, (nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    for key, parameter in net.named_parameters():
        if key.endswith("layer_scale"):
            parameter.data.uniform_(0.2, 0.5)
    # Statistics near those of pictures, so that nothing fades away on its way through the net.
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(as_input(pictures(size, 8, seed=4), name))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.running_mean += 0.05 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.9, 1.1)
    # Scores of a few units: neither are all classes alike nor is one certain.
    net.eval()
    head = [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    # torchvision's vision transformers begin with a head of zeros.
    if not head.weight.any():
        nn.init.normal_(head.weight, std=0.02)
    with torch.no_grad():
        largest = net(as_input(pictures(size, 8, seed=4), name)).abs().max()
        head.weight *= 3 / largest
        if head.bias is not None:
            head.bias *= 3 / largest
    return net


def pictures(size, count, seed=5):
    """Of large patches, so that deep layers see differences."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, -(-size // 8), -(-size // 8), 3))
    fine = rng.integers(-30, 30, (count, size, size, 3))
    whole = coarse.repeat(8, 1).repeat(8, 2)[:, :size, :size] + fine
    return whole.clip(0, 255).astype(np.uint8)


def as_input(images, name, dtype=torch.float32):
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)).to(dtype)
    if hasattr(published, name):
        return x
    mean, deviation = (torch.tensor(values, dtype=dtype).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (x - mean) / deviation


def logs(logits):
    return torch.log_softmax(torch.from_numpy(np.asarray(logits, np.float64)), 1).numpy()


class Vision(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def imported(self, name, size):
        net = torch_net(name, size)
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, str(self.folder / "torch.safetensors"))
        (self.folder / "net.safetensors").unlink(missing_ok=True)
        flags = ["--model", name, "--image-size", size, "--out", "net.safetensors"]
        shown = wgrad("import", "torch.safetensors", *flags, cwd=self.folder)
        weights = [key for key, value in net.named_parameters() if key.endswith("weight")]
        # A block of a transformer has a line for all of its weights.
        if not name.startswith("vit"):
            self.assertTrue(all(f" {key} " in shown for key in weights), shown)
        # And back again: names, shapes and values.
        wgrad("export", "net.safetensors", "--state-dict", "back.safetensors", cwd=self.folder)
        back, state = load_file(str(self.folder / "back.safetensors")), net.state_dict()
        self.assertEqual(set(back), {key for key in state if not key.endswith("num_batches_tracked")})
        # ConvNeXt's linear layers are convolutions of 1 × 1 here.
        same = {key: value.reshape(state[key].shape) if name == "convnext_tiny" else value for key, value in back.items()}
        self.assertTrue(all(torch.equal(value, state[key]) for key, value in same.items()), name)
        net.load_state_dict(same)
        return net

    def check_outputs(self, name, net, size):
        images = pictures(size, 3)
        with torch.no_grad():
            single = net(as_input(images, name))
            scores = net.double()(as_input(images, name, torch.float64))
            net.float()
        if scores.dim() == 4:
            single, scores = (y.permute(0, 2, 3, 1).reshape(-1, CLASSES) for y in (single, scores))
        wanted = logs(scores)
        self.assertGreater(np.ptp(wanted, axis=0).max(), 1e-2, f"{name}: the pictures give different answers")
        # Of deep nets PyTorch's own single precision is off by more.
        own = np.abs(logs(single) - wanted).max()
        tolerance = max(1e-5, ORDER * own)

        wgrad("export", "net.safetensors", "--onnx", "net.onnx", cwd=self.folder)
        session = onnxruntime.InferenceSession(str(self.folder / "net.onnx"), providers=["CPUExecutionProvider"])
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
        found = session.run(["probabilities"], {"input": pixels})[0]
        if found.ndim == 4:
            found = found.transpose(0, 2, 3, 1).reshape(-1, CLASSES)
        by_onnx = np.abs(np.log(found.astype(np.float64)) - wanted).max()
        self.assertLessEqual(by_onnx, tolerance, f"{name}: ONNX")

        files = [f"{i}.ppm" for i in range(len(images))]
        for file, image in zip(files, images):
            write_ppm(self.folder / file, image)
        if net_is_of_pixels := name in OF_PIXELS:
            by_predict = self.loss_difference(images, scores, name)
        else:
            flags = ["--json", "--top", CLASSES, "--prepare", "none", "--device", "cpu"]
            answers = json.loads(wgrad("predict", "net.safetensors", *files, *flags, cwd=self.folder))
            found = np.zeros((len(images), CLASSES))
            for row, answer in zip(found, answers):
                for guess in answer["top"]:
                    row[int(guess["label"])] = guess["probability"]
            by_predict = np.abs(np.log(found) - wanted).max()
        self.assertLessEqual(by_predict, tolerance, f"{name}: predict")
        what = "the loss" if net_is_of_pixels else "predict"
        print(f"{name}: {what} {by_predict:.1e}, ONNX {by_onnx:.1e}, PyTorch's single precision {own:.1e}")

    def data(self, images, labels, folder="data"):
        (self.folder / folder).mkdir(exist_ok=True)
        for part in ["train", "test"]:
            np.save(self.folder / folder / f"x_{part}.npy", images)
            np.save(self.folder / folder / f"y_{part}.npy", labels)

    def labels(self, images, name):
        shape = images.shape[:3] if name in OF_PIXELS else images.shape[:1]
        labels = np.random.default_rng(9).integers(0, CLASSES, shape).astype(np.uint8)
        labels.flat[:CLASSES] = range(CLASSES)
        return labels

    def loss_difference(self, images, scores, name):
        labels = self.labels(images, name)
        self.data(images, labels)
        wanted = nn.functional.cross_entropy(scores.double(), torch.from_numpy(labels.astype(np.int64)).flatten()).item()
        flags = ["--json", "--device", "cpu"]
        found = json.loads(wgrad("eval", "net.safetensors", "--data", "data", *flags, cwd=self.folder))
        return abs(found["loss"] - wanted)

    def check_step(self, name, net, size):
        """A step of plain gradient descent at rate 1 takes the gradient from the weights."""
        def gradients(images, labels, dtype, noise=0.0):
            net.to(dtype).train().zero_grad()
            generator = torch.Generator().manual_seed(1)
            x = as_input(images, name, dtype)
            x = x * (1 + noise * torch.randn(x.shape, generator=generator).to(dtype))
            nn.functional.cross_entropy(net(x), torch.from_numpy(labels.astype(np.int64))).backward()
            return {key: value.grad.double().flatten().clone() for key, value in net.named_parameters()}

        # PyTorch's own error in single precision, and what roundings of the pictures do: an activation next to a kink may fall
        # to either side of it, here as there. Pictures with few of them say more.
        best = None
        # In a U-Net of this width some always are.
        for seed in range(5, 6 if name == "unet" else 9):
            images = pictures(size, 2 * CLASSES, seed)
            labels = self.labels(images, name)
            exact = gradients(images, labels, torch.float64)
            others = [gradients(images, labels, torch.float32, noise) for noise in (0.0, 2 ** -23, -2 ** -23)]
            errors = {key: max((other[key] - exact[key]).abs().max().item() for other in others) for key in exact}
            largest = {key: exact[key].abs().max().item() for key in exact}
            own = float(np.median([errors[key] / largest[key] for key in exact if largest[key] > 0]))
            if best is None or own < best[0]:
                best = own, images, labels, exact, errors, largest
            if own < 1e-4:
                break
        own, images, labels, exact, errors, largest = best
        net.float().eval()
        self.data(images, labels)
        # As PyTorch's here: nothing is dropped.
        path = self.folder / "net.safetensors"
        with safe_open(str(path), "pt") as file:
            model = json.loads(file.metadata()["wgrad"])
        for layer in model["layers"]:
            if layer["type"] in ("dropout", "stochastic_depth"):
                layer["rate"] = 0.0
        before = load_file(str(path))
        save_file(before, str(path), metadata={"wgrad": json.dumps(model)})
        flags = ["--from", "net.safetensors", "--data", "data", "--epochs", 1, "--batch-size", len(images), "--no-report"]
        plain = ["--optimizer", "sgd", "--momentum", 0, "--lr", 1, "--weight-decay", 0, "--no-shuffle"]
        run = f"run-{name}"
        wgrad("train", *flags, *plain, "--device", "cpu", "--run-dir", run, "--quiet", cwd=self.folder)
        after = load_file(str(self.folder / run / "model.safetensors"))
        module = {str(index): layer.get("module") for index, layer in enumerate(model["layers"])}

        worst, seen = 0.0, set()
        for key, value in before.items():
            index, rest = key.split(".", 1)
            real = next((real for real in (f"{module[index]}.{rest}", module[index]) if real in exact), None)
            if real is None:
                self.assertIn("running", rest, key)
                continue
            seen.add(real)
            found = (value.double() - after[key].double()).flatten()
            # A weight is stored in single precision before and after.
            stored = 2.0 ** -23 * value.abs().max().item()
            tolerance = ORDER * (errors[real] + own * largest[real]) + stored
            difference = (found - exact[real]).abs().max().item()
            self.assertLessEqual(difference, tolerance, f"{name}: the gradient of {real}, at most {largest[real]}")
            worst = max(worst, difference / tolerance)
        self.assertEqual(seen, set(exact), "every parameter")
        print(f"{name}: {len(seen)} gradients, at worst {worst:.2f} of the tolerance; PyTorch's own error {own:.1e}")


def test_of(name, size, step):
    def test(self):
        net = self.imported(name, size)
        self.check_outputs(name, net, size)
        if step:
            self.check_step(name, net, size)
    return test


for name, (size, step) in NETS.items():
    setattr(Vision, f"test_{name}", test_of(name, size, step))


if __name__ == "__main__":
    unittest.main(verbosity=2)
