"""Nets that read text: onnxruntime agrees with wgrad about the loss of a text and the classes of texts."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from common import wgrad

TOLERANCE = 1e-4  # of a loss, and of a probability
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


def session(path):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


class Text(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)

    def tearDown(self):
        self.temporary.cleanup()

    def described(self, path):
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        return json.loads(metadata["wgrad"])["text"]["tokens"]

    def test_the_loss_of_a_text_is_onnxruntimes(self):
        (self.folder / "a.txt").write_text(TEXT)
        for layer in ["rnn", "gru", "lstm"]:
            (self.folder / "net.toml").write_text(NET.format(layer=layer))
            flags = ["--data", "a.txt", "--model", "net.toml", "--batch-size", 16, "--epochs", 3, "--device", "cpu"]
            wgrad("train", *flags, "--run-dir", layer, "--no-report", cwd=self.folder)
            wgrad("export", f"{layer}/model.safetensors", "--onnx", "net.onnx", cwd=self.folder)
            told = json.loads(wgrad("eval", layer, "--device", "cpu", "--json", cwd=self.folder))
            path = str(self.folder / "net.onnx")
            tokens = self.described(path)
            kept = TEXT[int(len(TEXT) * 0.9):]
            numbers = np.array([tokens.index(c) for c in kept])
            windows = -np.ones((-(-len(numbers) // 12), 12), np.int64)
            windows.reshape(-1)[:len(numbers)] = numbers
            found = session(path).run(["probabilities"], {"input": windows})[0]
            targets = numbers[1:]
            likely = found.reshape(-1, len(tokens))[np.arange(len(targets)), targets].astype(np.float64)
            self.assertEqual(told["tokens"], len(targets))
            self.assertAlmostEqual(told["loss"], -np.log(likely).mean(), delta=TOLERANCE, msg=layer)

    def test_the_classes_of_texts_are_onnxruntimes(self):
        words = ["good", "fine", "bad", "poor"]
        lines = [f"{'no' if n % 4 > 1 else 'yes'}\tfilm {n // 4} was {words[n % 4]}{' indeed' * (n % 3)}" for n in range(80)]
        (self.folder / "films.tsv").write_text("\n".join(lines))
        flags = ["--data", "films.tsv", "--length", 6, "--batch-size", 16, "--epochs", 2, "--device", "cpu"]
        wgrad("train", "--model", "text-classifier", *flags, "--run-dir", "run", "--no-report", cwd=self.folder)
        wgrad("export", "run/model.safetensors", "--onnx", "net.onnx", cwd=self.folder)
        texts = ["film 3 was good", "bad", "film 7 was poor indeed indeed"]
        (self.folder / "new.txt").write_text("\n".join(texts))
        told = json.loads(wgrad("predict", "run", "new.txt", "--device", "cpu", "--json", cwd=self.folder))
        path = str(self.folder / "net.onnx")
        tokens = self.described(path)
        windows = -np.ones((len(texts), 6), np.int64)
        for row, text in zip(windows, texts):
            numbers = [tokens.index(word) if word in tokens else 0 for word in text.split()][:6]
            row[:len(numbers)] = numbers
        found = session(path).run(["probabilities"], {"input": windows})[0]
        for row, answer in zip(found, told):
            self.assertAlmostEqual(row.max(), answer["probability"], delta=TOLERANCE)
            self.assertEqual(["no", "yes"][row.argmax()], answer["label"])

    def test_subwords_are_those_of_tokenizers(self):
        """Both ways: a tokenizer that wgrad trained, read in Python; and one of Python's, read by wgrad."""
        text = ("the cat sat on the mat — it's 20 °C 🙂\n\n  and\tthe dog's bed, naïve? \r\n" * 30)
        (self.folder / "a.txt").write_bytes(text.encode())
        wgrad("data", "make", "tokenizer", "a.txt", "--size", 300, cwd=self.folder)
        made = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("ð", "Ł"), ("ðŁ", "Ļ")]
        vocabulary = {token: n for n, token in enumerate(alphabet + [a + b for a, b in merges])}
        other = Tokenizer(models.BPE(vocabulary, merges))
        other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        other.decoder = decoders.ByteLevel()
        other.add_special_tokens(["<|endoftext|>"])
        other.save(str(self.folder / "other.json"))
        (self.folder / "net.toml").write_text(NET.format(layer="gru"))
        for name, tokenizer in [("tokenizer.json", made), ("other.json", other)]:
            expected = tokenizer.encode(text, add_special_tokens=False).ids
            self.assertEqual(tokenizer.decode(expected, skip_special_tokens=False), text)
            flags = ["--data", "a.txt", "--model", "net.toml", "--tokenizer", name, "--epochs", 1, "--batch-size", 16]
            wgrad("train", *flags, "--run-dir", f"{name}-run", "--device", "cpu", "--no-report", cwd=self.folder)
            prompt = "the dog's naïve 🙂\n\n  x"
            flags = ["--prompt", prompt, "--tokens", 40, "--device", "cpu", "--json"]
            told = json.loads(wgrad("generate", f"{name}-run", *flags, cwd=self.folder))
            self.assertEqual(told["text"], tokenizer.decode(told["tokens"], skip_special_tokens=False))
            wgrad("export", f"{name}-run/model.safetensors", "--onnx", "net.onnx", cwd=self.folder)
            metadata = {entry.key: entry.value for entry in onnx.load(str(self.folder / "net.onnx")).metadata_props}
            stored = Tokenizer.from_str(json.loads(metadata["wgrad"])["text"]["file"])
            self.assertEqual(stored.encode(text, add_special_tokens=False).ids, expected)
            kept = text[int(len(text) * 0.9):]
            evaluated = json.loads(wgrad("eval", f"{name}-run", "--device", "cpu", "--json", cwd=self.folder))
            tokens = len(tokenizer.encode(kept, add_special_tokens=False).ids)
            self.assertEqual(evaluated["tokens"], tokens - 1)


if __name__ == "__main__":
    unittest.main()
