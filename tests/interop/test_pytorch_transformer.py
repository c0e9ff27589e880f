"""PyTorch's transformer layers load what wgrad trained, give the same losses, and train as it does."""

import json
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from common import wgrad

TEXT = "the cat sat on the mat, and the dog sat by the log. " * 20
PLACES = 12
GPT = """input = {{ tokens = 12 }}
[[layers]]
type = "embedding"
size = 16
positions = "learned"
[[layers]]
type = "transformer"
heads = 4
hidden = 24
causal = true
repeat = 2
{keys}
[[layers]]
type = "layer_norm"
{norm}
[[layers]]
type = "dense"
units = "vocabulary"
"""
WAYS = [
    dict(norm_first=True, bias=False, activation="gelu"),
    dict(norm_first=False, bias=True, activation="relu"),
    dict(norm_first=True, bias=True, activation="gelu"),
]
# Layers without biases came with PyTorch 2.1.
HAS_BIAS = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 1)
WAYS = [way for way in WAYS if HAS_BIAS or way["bias"]]


def biased(way):
    """The way as PyTorch's arguments."""
    return way if HAS_BIAS else {key: value for key, value in way.items() if key != "bias"}


class Positions(nn.Embedding):
    """The embedding of tokens, and a row for each place."""

    def __init__(self, tokens, size, places=PLACES):
        super().__init__(tokens, size)
        self.positions = nn.Parameter(torch.empty(places, size).normal_(0, 0.02))

    def forward(self, x):
        return super().forward(x) + self.positions[: x.shape[1]]


def norm(bias):
    return nn.LayerNorm(16, bias=bias) if HAS_BIAS else nn.LayerNorm(16)


class Gpt(nn.Module):
    def __init__(self, tokens, **way):
        super().__init__()
        block = lambda: nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True, **biased(way))
        for n, layer in enumerate(
            [Positions(tokens, 16), block(), block(), norm(way["bias"]), nn.Linear(16, tokens)]
        ):
            self.add_module(str(n), layer)

    def forward(self, x):
        embedding, *blocks, last, dense = self.children()
        x, mask = embedding(x), nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        for block in blocks:
            x = block(x, src_mask=mask)
        return dense(last(x))


def toml(way):
    keys = "\n".join(f"{key} = {json.dumps(value)}" for key, value in way.items())
    return GPT.format(keys=keys, norm=f"bias = {json.dumps(way['bias'])}")


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def wgrad(self, *arguments):
        return wgrad(*arguments, cwd=self.folder)

    def begin_with(self, net, *sizes):
        """Makes first.safetensors of the net's weights; the model file does not know the vocabularies, but their sizes do."""
        save_file({name: value.detach().clone() for name, value in net.state_dict().items()}, self.folder / "torch.safetensors")
        net, sizes = (self.folder / "net.toml").read_text().split('type = "embedding"'), list(sizes)
        known = "".join(f'type = "embedding"\ntokens = {size}' + part.replace('"vocabulary"', str(size))
                        for size, part in zip(sizes, net[1:]))
        (self.folder / "known.toml").write_text(net[0] + known)
        self.wgrad("import", "torch.safetensors", "--model", "known.toml", "--out", "first.safetensors")


class Text(Folder):
    def setUp(self):
        super().setUp()
        (self.folder / "a.txt").write_text(TEXT)
        self.kept = TEXT[int(len(TEXT) * 0.9):]
        self.tokens = sorted(set(TEXT[: -len(self.kept)]))

    def numbers(self, text):
        return torch.tensor([self.tokens.index(c) for c in text])

    def test_pytorch_loads_the_weights(self):
        numbers = self.numbers(self.kept)
        for n, way in enumerate(WAYS):
            (self.folder / "net.toml").write_text(toml(way))
            self.wgrad("train", "--data", "a.txt", "--model", "net.toml", "--batch-size", 16, "--epochs", 3, "--device",
                       "cpu", "--run-dir", n, "--no-report")
            told = json.loads(self.wgrad("eval", n, "--device", "cpu", "--json"))
            net = Gpt(len(self.tokens), **way)
            net.load_state_dict(load_file(self.folder / str(n) / "model.safetensors"))
            losses = [
                nn.functional.cross_entropy(net(numbers[None, at:at + PLACES])[0, :len(numbers) - 1 - at],
                                            numbers[at + 1:at + 1 + PLACES], reduction="sum")
                for at in range(0, len(numbers) - 1, PLACES)
            ]
            self.assertAlmostEqual(told["loss"], sum(losses).item() / (len(numbers) - 1), delta=1e-5, msg=way)

    def test_fifty_steps_are_pytorchs(self):
        numbers = self.numbers(TEXT[: -len(self.kept)])
        # Nothing follows the last character.
        x, y = numbers.view(-1, PLACES), torch.cat([numbers[1:], torch.tensor([-100])]).view(-1, PLACES)
        for way in WAYS:
            torch.manual_seed(3)
            net = Gpt(len(self.tokens), **way)
            (self.folder / "net.toml").write_text(toml(way))
            self.begin_with(net, len(self.tokens))
            # One step an epoch: all windows in their order.
            self.wgrad("train", "--data", "a.txt", "--model", "net.toml", "--init", "first.safetensors", "--batch-size", len(x), "--no-shuffle",
                       "--epochs", 50, "--optimizer", "adamw", "--lr", 2e-3, "--epsilon", 1e-8, "--weight-decay", 0.1,
                       "--clip-norm", 1, "--device", "cpu", "--no-report", "--run-dir", way["activation"] + str(way["bias"]))
            lines = (self.folder / (way["activation"] + str(way["bias"])) / "metrics.jsonl").read_text().splitlines()
            found = [json.loads(line)["loss"] for line in lines]
            optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.1)
            losses = []
            for _ in range(50):
                loss = nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten())
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
            self.assertEqual(len(found), 50)
            self.assertLess(losses[-1], losses[0] - 0.5)
            worst = max(abs(a - b) for a, b in zip(found, losses))
            self.assertLess(worst, 1e-4, f"{way}: {found[:3]} {losses[:3]}")


PAIRS = [("one two", "dos uno"), ("two", "dos"), ("three one two two", "dos dos uno tres"), ("one", "uno"), ("three three one", "uno tres tres")]
TRANSLATOR = """input = { tokens = 4 }
[[layers]]
type = "embedding"
size = 8
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 12
activation = "relu"
name = "encoder"
[[layers]]
type = "input"
[[layers]]
type = "embedding"
size = 8
positions = "learned"
[[layers]]
type = "transformer"
heads = 2
hidden = 12
causal = true
memory = "encoder"
norm_first = false
[[layers]]
type = "dense"
units = "vocabulary"
"""


class Translator(nn.Module):
    def __init__(self, read, written):
        super().__init__()
        of = dict(dropout=0.0, batch_first=True)
        self.add_module("0", Positions(read, 8, 4))
        self.add_module("1", nn.TransformerEncoderLayer(8, 2, 12, norm_first=True, activation="relu", **of))
        self.add_module("3", Positions(written, 8, 5))
        self.add_module("4", nn.TransformerDecoderLayer(8, 2, 12, norm_first=False, activation="gelu", **of))
        self.add_module("5", nn.Linear(8, written))

    def forward(self, text, target):
        embedding, encoder, embedding_of_target, decoder, dense = self.children()
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        # What fills a text up is no token: it has its position alone.
        embed = lambda layer, x: torch.where((x >= 0)[..., None], layer(x.clamp(min=0)), layer.positions[: x.shape[1]])
        memory = encoder(embed(embedding, text), src_key_padding_mask=text < 0)
        given = decoder(embed(embedding_of_target, target), memory, tgt_mask=mask,
                        tgt_key_padding_mask=target < 0, memory_key_padding_mask=text < 0)
        return dense(given)


class Pairs(Folder):
    def test_pytorch_gives_the_loss_and_the_step_of_a_translator(self):
        (self.folder / "pairs").mkdir()
        text = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
        [(self.folder / "pairs" / name).write_text(text) for name in ["train.tsv", "test.tsv"]]
        (self.folder / "net.toml").write_text(TRANSLATOR)
        # The unknown word, and then the commonest; of equals the first in the alphabet.
        order = lambda at: sorted({w for p in PAIRS for w in p[at].split()},
                                  key=lambda w: (-sum(p[at].split().count(w) for p in PAIRS), w))
        read, written = ["<unk>", *order(0)], ["<unk>", *order(1), "<begin>", "<end>"]
        texts, given, labels = (-torch.ones(len(PAIRS), places, dtype=torch.long) for places in [4, 5, 5])
        for at, (source, target) in enumerate(PAIRS):
            numbers = [written.index(word) for word in target.split()]
            texts[at, :len(source.split())] = torch.tensor([read.index(word) for word in source.split()])
            given[at, :len(numbers) + 1] = torch.tensor([4, *numbers])
            labels[at, :len(numbers) + 1] = torch.tensor([*numbers, 5])
        torch.manual_seed(3)
        self.begin_with(Translator(len(read), len(written)), len(read), len(written))
        rate, weights = 0.5, []
        for steps in [1, 2]:
            self.wgrad("train", "--data", "pairs", "--model", "net.toml", "--init", "first.safetensors", "--batch-size", len(PAIRS), "--optimizer", "sgd",
                       "--lr", rate, "--momentum", 0, "--device", "cpu", "--no-report", "--epochs", steps, "--run-dir", steps)
            weights.append(load_file(self.folder / str(steps) / "model.safetensors"))
        told = json.loads(self.wgrad("eval", 1, "--device", "cpu", "--json"))
        net = Translator(len(read), len(written))
        net.load_state_dict(weights[0])
        loss = nn.functional.cross_entropy(net(texts, given).flatten(0, 1), labels.flatten(), ignore_index=-1)
        self.assertAlmostEqual(told["loss"], loss.item(), delta=1e-5)
        loss.backward()
        for name, parameter in net.named_parameters():
            step = (weights[0][name] - weights[1][name]) / rate
            most = parameter.grad.abs().max().item()
            # Weights of about 1 are rounded to 6e-8 twice, before and after the step.
            self.assertLess((step - parameter.grad).abs().max().item(), 5e-7 + 1e-4 * most, name)
            self.assertGreater(most, 2e-7, name)


if __name__ == "__main__":
    unittest.main()
