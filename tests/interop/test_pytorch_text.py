"""PyTorch's recurrent modules load what wgrad trained on texts and pairs, and give the same losses and gradients."""

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
    def __init__(self, layer, tokens, units=10):
        super().__init__()
        self.add_module("0", nn.Embedding(tokens, 8))
        self.add_module("1", MODULES[layer](8, units, 2, batch_first=True))
        self.add_module("2", nn.Linear(units, tokens))

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

    def test_pytorch_loads_a_tied_net_that_carries_its_state(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "a.txt").write_text(TEXT * 2)
        kept = (TEXT * 2)[int(len(TEXT) * 2 * 0.9):]
        tokens = sorted(set(TEXT))
        numbers = torch.tensor([tokens.index(c) for c in kept])
        tied = NET.format(layer="lstm").replace("units = 10", "units = 8\ncarry = true")
        tied = tied.replace("size = 8", 'size = 8\nname = "tokens"') + 'tied = "tokens"\n'
        (folder / "net.toml").write_text(tied)
        flags = ["--data", "a.txt", "--model", "net.toml", "--batch-size", 16, "--epochs", 3, "--device", "cpu"]
        wgrad("train", *flags, "--run-dir", "run", "--no-report", cwd=folder)
        told = json.loads(wgrad("eval", "run", "--device", "cpu", "--json", cwd=folder))
        net = Net("lstm", len(tokens), 8)
        _, _, dense = net.children()
        dense.weight = net.get_submodule("0").weight
        loaded = net.load_state_dict(load_file(folder / "run" / "model.safetensors"), strict=False)
        self.assertEqual((loaded.missing_keys, loaded.unexpected_keys), (["2.weight"], []))
        # The text is read in ten parts, each from zero states to its end.
        windows = -(-len(numbers) // 12)
        each, longer = divmod(windows, 10)
        loss = 0
        for part in range(10):
            begin = part * each + min(part, longer)
            end = begin + each + (part < longer)
            targets = numbers[begin * 12 + 1:end * 12 + 1]
            scores = net(numbers[None, begin * 12:end * 12])[0, :len(targets)]
            loss += nn.functional.cross_entropy(scores, targets, reduction="sum").item()
        self.assertGreater(each, 1)
        self.assertEqual(told["tokens"], len(numbers) - 1)
        self.assertAlmostEqual(told["loss"], loss / (len(numbers) - 1), delta=1e-5)


# An encoder that goes both ways, a decoder that starts at its last states, and an attention over it.
TRANSLATOR = """input = {{ tokens = 4 }}
[[layers]]
type = "embedding"
size = 8
[[layers]]
type = "{layer}"
units = 5
layers = 2
bidirectional = true
name = "encoder"
[[layers]]
type = "input"
name = "target"
[[layers]]
type = "embedding"
size = 6
[[layers]]
type = "{layer}"
units = 10
layers = 2
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
PAIRS = [("one two", "dos uno"), ("two", "dos"), ("three one two two", "dos dos uno tres"), ("one", "uno"), ("three three one", "uno tres tres")]


class Attention(nn.Module):
    """The weights have the names of the layer's."""

    def __init__(self, score, size):
        super().__init__()
        self.score = score
        if score == "general":
            self.weight = nn.Parameter(torch.empty(size, size))
        if score == "additive":
            self.weight_query, self.weight_key = (nn.Parameter(torch.empty(size, size)) for _ in range(2))
            self.weight_score = nn.Parameter(torch.empty(1, size))

    def forward(self, query, memory, valid):
        if self.score == "additive":
            keys = memory @ self.weight_key.T
            scores = torch.tanh((query @ self.weight_query.T)[:, :, None] + keys[:, None]) @ self.weight_score[0]
        else:
            query = query @ self.weight.T if self.score == "general" else query
            scores = query @ memory.transpose(1, 2)
        weights = scores.masked_fill(~valid[:, None], -torch.inf).softmax(-1)
        return weights @ memory


class Translator(nn.Module):
    def __init__(self, layer, score, read, written):
        super().__init__()
        self.add_module("0", nn.Embedding(read, 8))
        self.add_module("1", MODULES[layer](8, 5, 2, batch_first=True, bidirectional=True))
        self.add_module("3", nn.Embedding(written, 6))
        self.add_module("4", MODULES[layer](6, 10, 2, batch_first=True))
        self.add_module("5", Attention(score, 10))
        self.add_module("7", nn.Linear(20, written))

    def forward(self, text, target):
        embedding, encoder, embedding_of_target, decoder, attention, dense = self.children()
        valid = text >= 0
        packed = nn.utils.rnn.pack_padded_sequence(
            embedding(text.clamp(min=0)), valid.sum(1), batch_first=True, enforce_sorted=False)
        memory, state = encoder(packed)
        memory = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True, total_length=text.shape[1])[0]
        # [layers · directions, batch, units] to [layers, batch, directions · units]
        both = lambda h: torch.cat([h[0::2], h[1::2]], -1)
        state = tuple(map(both, state)) if isinstance(state, tuple) else both(state)
        given, _ = decoder(embedding_of_target(target.clamp(min=0)), state)
        context = attention(given, memory, valid)
        return dense(torch.cat([context, given], -1))


class Pairs(unittest.TestCase):
    def test_pytorch_gives_the_loss_and_the_step_of_a_translator(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "pairs").mkdir()
        text = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
        [(folder / "pairs" / name).write_text(text) for name in ["train.tsv", "test.tsv"]]
        # The unknown word, and then the commonest; of equals the first in the alphabet.
        read, written = ["<unk>", "one", "two", "three"], ["<unk>", "dos", "tres", "uno", "<begin>", "<end>"]
        counted = {word: sum(source.split().count(word) for source, _ in PAIRS) for word in read[1:]}
        read[1:] = sorted(counted, key=lambda word: (-counted[word], word))
        counted = {word: sum(target.split().count(word) for _, target in PAIRS) for word in written[1:4]}
        written[1:4] = sorted(counted, key=lambda word: (-counted[word], word))
        texts, given, labels = (-torch.ones(len(PAIRS), places, dtype=torch.long) for places in [4, 5, 5])
        for at, (source, target) in enumerate(PAIRS):
            numbers = [written.index(word) for word in target.split()]
            texts[at, :len(source.split())] = torch.tensor([read.index(word) for word in source.split()])
            given[at, :len(numbers) + 1] = torch.tensor([4, *numbers])
            labels[at, :len(numbers) + 1] = torch.tensor([*numbers, 5])
        rate = 0.5
        for layer, score in [("rnn", "dot"), ("gru", "general"), ("lstm", "additive")]:
            (folder / "net.toml").write_text(TRANSLATOR.format(layer=layer, score=score))
            flags = ["--data", "pairs", "--model", "net.toml", "--batch-size", len(PAIRS), "--optimizer", "sgd"]
            flags += ["--lr", rate, "--momentum", 0, "--device", "cpu", "--no-report"]
            weights = []
            # One step each: of all pairs.
            for steps in [1, 2]:
                run = f"{layer}-{steps}"
                wgrad("train", *flags, "--epochs", steps, "--run-dir", run, cwd=folder)
                weights.append(load_file(folder / run / "model.safetensors"))
            told = json.loads(wgrad("eval", f"{layer}-1", "--device", "cpu", "--json", cwd=folder))
            net = Translator(layer, score, len(read), len(written))
            net.load_state_dict(weights[0])
            loss = nn.functional.cross_entropy(net(texts, given).flatten(0, 1), labels.flatten(), ignore_index=-1)
            self.assertAlmostEqual(told["loss"], loss.item(), delta=1e-5, msg=layer)
            loss.backward()
            for name, parameter in net.named_parameters():
                step = (weights[0][name] - weights[1][name]) / rate
                most = parameter.grad.abs().max().item()
                # Weights of about 1 are rounded to 6e-8 twice, before and after the step.
                self.assertLess((step - parameter.grad).abs().max().item(), 5e-7 + 1e-4 * most, f"{layer}: {name}")
                self.assertGreater(most, 2e-6, f"{layer}: {name}")


if __name__ == "__main__":
    unittest.main()
