"""`wgrad export --onnx`: ONNX's checker accepts it, and onnxruntime gives the probabilities that wgrad gives."""

import json
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

from common import call, evaluate, mnist, wgrad, write_idx, write_ppm

TOLERANCE = 1e-4  # of a probability


def run(path, images):
    """onnxruntime's probabilities for images [N, H, W, C] of bytes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    return session.run(["probabilities"], {"input": pixels})[0]


def shape(value):
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


class Mnist(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        flags = ["--train-limit", 3000, "--test-limit", 100, "--epochs", 1, "--device", "cpu", "--run-dir", "run"]
        wgrad("train", *flags, cwd=cls.folder)
        wgrad("export", "run/model.safetensors", "--onnx", "out.onnx", cwd=cls.folder)
        cls.path = str(cls.folder / "out.onnx")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_the_checker_accepts_it_and_it_says_what_it_takes(self):
        model = onnx.load(self.path)
        onnx.checker.check_model(model, full_check=True)
        self.assertGreaterEqual(model.opset_import[0].version, 17)
        self.assertEqual([(v.name, shape(v)) for v in model.graph.input], [("input", ["N", 1, 28, 28])])
        self.assertEqual([(v.name, shape(v)) for v in model.graph.output], [("probabilities", ["N", 10])])
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        self.assertIn("divided by 255", metadata["preprocessing"])
        self.assertEqual(json.loads(metadata["class_names"]), [str(digit) for digit in range(10)])
        self.assertEqual(json.loads(metadata["wgrad"])["name"], "mnist-cnn")

    def test_one_and_seven_images_have_wgrads_probabilities(self):
        lines = call(os.environ["WGRAD_INFERENCE"], "run/model.safetensors", 7, cwd=self.folder).splitlines()
        wanted = np.array([[float(share) for share in line.split(": ")[1].split()] for line in lines])
        self.assertEqual(wanted.shape, (7, 10))
        images = mnist()[0][:7, :, :, None]
        for name, found in [
            ("N = 7", run(self.path, images)),
            ("N = 1", np.concatenate([run(self.path, images[i:i + 1]) for i in range(7)])),
        ]:
            worst = np.abs(found - wanted).max()
            print(f"{name}: largest difference {worst:.1e}")
            self.assertLess(worst, TOLERANCE, name)
            self.assertGreater(np.ptp(wanted, axis=0).max(), 0.1, "the images give different answers")

    def test_a_vision_transformer_has_wgrads_loss(self):
        flags = ["--model", "vit-mini", "--train-limit", 600, "--test-limit", 100, "--epochs", 1, "--device", "cpu"]
        wgrad("train", *flags, "--run-dir", "vit", "--no-report", cwd=self.folder)
        wgrad("export", "vit/model.safetensors", "--onnx", "vit.onnx", cwd=self.folder)
        images, labels = (part[:50] for part in mnist())
        write_idx(self.folder / "fifty", images, labels)
        found = evaluate("vit/model.safetensors", "fifty", self.folder)
        probabilities = run(str(self.folder / "vit.onnx"), images[:, :, :, None]).astype(np.float64)
        loss = -np.log(probabilities[np.arange(50), labels]).mean()
        self.assertAlmostEqual(found["loss"], loss, delta=TOLERANCE)

    def test_seven_samples_have_wgrads_loss_and_confusion_matrix(self):
        images, labels = (part[:7] for part in mnist())
        write_idx(self.folder / "seven", images, labels)
        found = evaluate("run/model.safetensors", "seven", self.folder)
        probabilities = run(self.path, images[:, :, :, None]).astype(np.float64)
        loss = -np.log(probabilities[np.arange(7), labels]).mean()
        self.assertAlmostEqual(found["loss"], loss, delta=TOLERANCE)
        confusion = np.zeros((10, 10), int)
        np.add.at(confusion, (labels, probabilities.argmax(1)), 1)
        self.assertEqual(found["confusion"], confusion.tolist())


def places(size, window, stride, same):
    return -(-size // stride) if same else (size - window) // stride + 1


class EveryLayer(unittest.TestCase):
    """A net with each kind of layer, each way to pad and strides, three channels, class names, its own normalisation."""

    LAYERS = [
        {"type": "conv2d", "filters": 5, "kernel": [3, 2], "stride": [2, 1], "padding": "same"},
        {"type": "relu"},
        {"type": "depthwise_conv2d", "kernel": [3, 3], "stride": [1, 1], "padding": "same", "dilation": [2, 1],
         "multiplier": 2},
        {"type": "conv2d", "filters": 6, "kernel": [2, 2], "stride": [1, 1], "padding": "same", "dilation": [1, 2],
         "groups": 2},
        {"type": "conv_transpose2d", "filters": 5, "kernel": [3, 5], "stride": [2, 2], "padding": "same"},
        # A kernel smaller than the stride: rows that no window reaches.
        {"type": "conv_transpose2d", "filters": 5, "kernel": [1, 2], "stride": [2, 1], "padding": "same"},
        {"type": "conv_transpose2d", "filters": 3, "kernel": [2, 3], "stride": [1, 2], "padding": "valid"},
        {"type": "conv2d", "filters": 4, "kernel": [2, 4], "stride": [1, 2], "padding": "same"},
        {"type": "conv2d", "filters": 6, "kernel": [2, 3], "stride": [1, 1], "padding": "valid"},
        {"type": "max_pool2d", "size": [3, 2], "stride": [2, 1]},
        {"type": "flatten"},
        {"type": "relu"},
        {"type": "dense", "units": 9},
        {"type": "relu"},
        {"type": "dense", "units": 6},
    ]

    def weights(self, rng, sizes):
        """Random weights for every layer, by following the sizes through the net."""
        tensors = {}
        for index, layer in enumerate(self.LAYERS):
            same, outputs = layer.get("padding") == "same", layer.get("filters", layer.get("units"))
            if layer["type"] in ("conv2d", "depthwise_conv2d"):
                alone = layer["type"] == "depthwise_conv2d"
                outputs = sizes[2] * layer["multiplier"] if alone else outputs
                groups = sizes[2] if alone else layer.get("groups", 1)
                shape = [outputs, sizes[2] // groups, *layer["kernel"]]
                spans = [(k - 1) * d + 1 for k, d in zip(layer["kernel"], layer.get("dilation", [1, 1]))]
                steps = zip(sizes[:2], spans, layer["stride"])
                sizes = [*(places(*step, same) for step in steps), outputs]
            elif layer["type"] == "conv_transpose2d":
                shape = [sizes[2], outputs, *layer["kernel"]]
                steps = zip(sizes[:2], layer["kernel"], layer["stride"])
                sizes = [*(n * s if same else (n - 1) * s + k for n, k, s in steps), outputs]
            elif layer["type"] == "dense":
                shape, sizes = [layer["units"], sizes[0]], [layer["units"]]
            else:
                if layer["type"] == "max_pool2d":
                    steps = zip(sizes[:2], layer["size"], layer["stride"])
                    sizes = [*(places(*step, False) for step in steps), sizes[2]]
                elif layer["type"] == "flatten":
                    sizes = [int(np.prod(sizes))]
                continue
            fan = int(np.prod(shape[1:]))
            tensors[f"{index}.weight"] = rng.normal(0, 1.4 / fan ** 0.5, shape).astype(np.float32)
            tensors[f"{index}.bias"] = rng.normal(0, 0.3, [outputs]).astype(np.float32)
        return tensors

    def test_predict_and_onnxruntime_agree(self):
        rng = np.random.default_rng(7)
        names = ["ash", "birch", "cedar", "dogwood"]
        for normalisation in [{"scale": float(np.float32(1) / np.float32(255)), "shift": 0.0}, {"scale": 0.02, "shift": -1.5}]:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                model = {"name": "every", "input": [13, 11, 3], "layers": self.LAYERS,
                         "normalisation": normalisation, "class_names": names}
                tensors = self.weights(rng, [13, 11, 3])
                save_file(tensors, folder / "every.safetensors", metadata={"wgrad": json.dumps(model)})
                wgrad("export", "every.safetensors", "--onnx", "every.onnx", cwd=folder)
                exported = onnx.load(folder / "every.onnx")
                onnx.checker.check_model(exported, full_check=True)
                metadata = {entry.key: entry.value for entry in exported.metadata_props}
                self.assertEqual(json.loads(metadata["class_names"]), names + ["4", "5"])

                # From dark to light, so that the answers differ.
                images = rng.integers(0, 256, (7, 13, 11, 3)) * np.linspace(0.1, 1, 7)[:, None, None, None]
                images = images.astype(np.uint8)
                files = [f"{i}.ppm" for i in range(7)]
                for file, image in zip(files, images):
                    write_ppm(folder / file, image)
                flags = ["--json", "--top", 6, "--device", "cpu"]
                answers = json.loads(wgrad("predict", "every.safetensors", *files, *flags, cwd=folder))
                order = {name: i for i, name in enumerate(names + ["4", "5"])}
                wanted = np.zeros((7, 6))
                for row, answer in zip(wanted, answers):
                    self.assertEqual(answer["prepared"], "11×13, colour")
                    for guess in answer["top"]:
                        row[order[guess["label"]]] = guess["probability"]
                path = str(folder / "every.onnx")
                for found in [run(path, images), np.concatenate([run(path, images[i:i + 1]) for i in range(7)])]:
                    worst = np.abs(found - wanted).max()
                    print(f"every layer, {normalisation}: largest difference {worst:.1e}")
                    self.assertLess(worst, TOLERANCE)
                # Probabilities of 0 and 1 would agree whatever the layers do.
                self.assertGreater(((wanted > 0.01) & (wanted < 0.99)).sum(), 6, "the answers are unsure")
                self.assertGreater(np.ptp(wanted, axis=0).max(), 0.1, "the images give different answers")


if __name__ == "__main__":
    unittest.main(verbosity=2)
