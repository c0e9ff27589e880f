"""Nets that read text: onnxruntime agrees with wgrad about losses, classes and translations; sacreBLEU scores translations."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import sacrebleu
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

# An encoder that goes both ways, a decoder that starts at its last states, and an attention over it.
TRANSLATOR = """input = {{ tokens = 4 }}
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "{layer}"
units = 10
layers = {layers}
bidirectional = true
name = "encoder"
[[layers]]
type = "input"
name = "target"
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "{layer}"
units = 20
layers = {layers}
state = "encoder"
name = "decoder"
[[layers]]
type = "attention"
from = "encoder"
score = "{score}"
[[layers]]
type = "concat"
from = "decoder"
[[layers]]
type = "dense"
units = "vocabulary"
"""
# Two blocks of a transformer, whose heads share keys and values.
GPT = """input = {{ tokens = 12 }}
[[layers]]
type = "embedding"
size = 16
positions = "learned"
[[layers]]
type = "transformer"
heads = 4
kv_heads = 2
hidden = 24
causal = true
repeat = 2
{keys}
[[layers]]
type = "layer_norm"
bias = false
[[layers]]
type = "dense"
units = "vocabulary"
"""

# An encoder and a decoder of a transformer.
WRITER = """input = { tokens = 4 }
[[layers]]
type = "embedding"
size = 16
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 24
name = "encoder"
[[layers]]
type = "input"
[[layers]]
type = "embedding"
size = 16
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 24
causal = true
memory = "encoder"
repeat = 2
[[layers]]
type = "dense"
units = "vocabulary"
"""
CLASSES = """input = { tokens = 6 }
[[layers]]
type = "embedding"
size = 16
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 24
[[layers]]
type = "mean_pool"
[[layers]]
type = "dense"
units = 2
"""
NUMBERS = [("one", "uno"), ("two", "dos"), ("three", "tres"), ("four", "cuatro"), ("five", "cinco")]


def pairs():
    """One to three numbers, and the same from the last to the first."""
    words = [(a,) for a in NUMBERS] + [(a, b) for a in NUMBERS for b in NUMBERS]
    words += [(a, b, c) for a in NUMBERS for b in NUMBERS for c in NUMBERS]
    return [(" ".join(en for en, _ in row), " ".join(es for _, es in reversed(row))) for row in words]


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
        tied = NET.format(layer="gru").replace("units = 10", "units = 8").replace("size = 8", 'size = 8\nname = "tokens"')
        nets = {layer: NET.format(layer=layer) for layer in ["rnn", "gru", "lstm"]}
        nets["tied"] = tied + 'tied = "tokens"\n'
        nets["transformer"] = GPT.format(keys="bias = false")
        llama = 'bias = false\nnorm = "rms"\nactivation = "swiglu"\npositions = "rotary"'
        nets["llama"] = GPT.format(keys=llama).replace('type = "layer_norm"\nbias = false', 'type = "rms_norm"')
        nets["gpt2"] = GPT.format(keys='activation = "gelu_tanh"').replace("learned", "sinusoidal")
        nets["norms last"] = GPT.format(keys='norm_first = false\nactivation = "relu"')
        for layer, net in nets.items():
            (self.folder / "net.toml").write_text(net)
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
        (self.folder / "net.toml").write_text(CLASSES)
        for model in ["text-classifier", "net.toml"]:
            self.hold_classes(model)

    def hold_classes(self, model):
        flags = ["--data", "films.tsv", "--length", 6, "--batch-size", 16, "--epochs", 2, "--device", "cpu"]
        wgrad("train", "--model", model, *flags, "--run-dir", f"{model}-run", "--no-report", cwd=self.folder)
        wgrad("export", f"{model}-run/model.safetensors", "--onnx", "net.onnx", cwd=self.folder)
        texts = ["film 3 was good", "bad", "film 7 was poor indeed indeed"]
        (self.folder / "new.txt").write_text("\n".join(texts))
        told = json.loads(wgrad("predict", f"{model}-run", "new.txt", "--device", "cpu", "--json", cwd=self.folder))
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

    def test_the_loss_and_the_words_of_translations_are_onnxruntimes(self):
        lines = ["\t".join(pair) for pair in pairs()]
        (self.folder / "pairs").mkdir()
        (self.folder / "pairs" / "train.tsv").write_text("\n".join(lines))
        (self.folder / "pairs" / "test.tsv").write_text("\n".join(lines[::7]))
        nets = {"transformer": WRITER}
        for layer, layers, score in [("rnn", 1, "dot"), ("gru", 2, "general"), ("lstm", 2, "additive")]:
            nets[layer] = TRANSLATOR.format(layer=layer, layers=layers, score=score)
        for layer, net in nets.items():
            (self.folder / "net.toml").write_text(net)
            flags = ["--data", "pairs", "--model", "net.toml", "--batch-size", 16, "--epochs", 12, "--lr", 0.01]
            wgrad("train", *flags, "--device", "cpu", "--run-dir", layer, "--no-report", cwd=self.folder)
            wgrad("export", f"{layer}/model.safetensors", "--onnx", "net.onnx", cwd=self.folder)
            told = json.loads(wgrad("eval", layer, "--device", "cpu", "--json", cwd=self.folder))
            path = str(self.folder / "net.onnx")
            metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
            model = json.loads(metadata["wgrad"])
            source, target = model["text"]["tokens"], model["target"]["tokens"]
            begin, end = len(target) - 2, len(target) - 1
            self.assertEqual(target[begin:], ["<begin>", "<end>"])
            run = session(path)

            def read(texts):
                filled = -np.ones((len(texts), 4), np.int64)
                for row, text in zip(filled, texts):
                    row[:len(text.split())] = [source.index(word) for word in text.split()]
                return filled

            tests = pairs()[::7]
            given, labels = -np.ones((2, len(tests), 5), np.int64)
            for row, label, (_, text) in zip(given, labels, tests):
                numbers = [target.index(word) for word in text.split()]
                row[:len(numbers) + 1], label[:len(numbers) + 1] = [begin, *numbers], [*numbers, end]
            found = run.run(["probabilities"], {"input": read([text for text, _ in tests]), "target": given})[0]
            places = labels >= 0
            likely = found[places, labels[places]].astype(np.float64)
            self.assertEqual(told["tokens"], places.sum())
            self.assertAlmostEqual(told["loss"], -np.log(likely).mean(), delta=TOLERANCE, msg=layer)
            # Word by word, each time the likeliest.
            for text in ["one two three", "five", "four one"]:
                written = [begin]
                while written[-1] != end and len(written) < 6:
                    so_far = -np.ones((1, 5), np.int64)
                    so_far[0, :len(written)] = written
                    scores = run.run(["probabilities"], {"input": read([text]), "target": so_far})[0]
                    written.append(int(scores[0, len(written) - 1].argmax()))
                words = " ".join(target[token] for token in written[1:] if token != end)
                self.assertEqual(wgrad("predict", layer, text, "--device", "cpu", cwd=self.folder).strip(), words, layer)

    def test_sacrebleu_scores_what_eval_writes(self):
        lines = ["\t".join(pair) for pair in pairs()]
        (self.folder / "pairs.tsv").write_text("\n".join(lines))
        (self.folder / "net.toml").write_text(TRANSLATOR.format(layer="gru", layers=1, score="general"))
        flags = ["--data", "pairs.tsv", "--model", "net.toml", "--batch-size", 16, "--epochs", 40, "--lr", 0.02]
        wgrad("train", *flags, "--device", "cpu", "--run-dir", "run", "--no-report", cwd=self.folder)
        for beam in [1, 3]:
            wgrad("eval", "run", "--device", "cpu", "--translations", "out", "--beam", beam, cwd=self.folder)
            read = lambda name: (self.folder / "out" / f"{name}.txt").read_text().splitlines()
            source, reference, translation = map(read, ["source", "reference", "translation"])
            self.assertEqual((len(source), len(reference), len(translation)), (16, 16, 16))
            self.assertTrue(set(zip(source, reference)) <= set(pairs()))
            # Few have four words in a row.
            bleu = sacrebleu.metrics.BLEU(max_ngram_order=2)
            copied = bleu.corpus_score(source, [reference]).score
            self.assertGreater(bleu.corpus_score(translation, [reference]).score, 80.0)
            self.assertLess(copied, 5.0)


if __name__ == "__main__":
    unittest.main()
