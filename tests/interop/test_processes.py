"""Several processes over MPI: the bytes of one that accumulates, on Open MPI and MPICH; what ends one ends all; kills.

    python test_processes.py [faults|kills|stops|presets …]
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wgrad import COMMAND, environment, until, wgrad

# The short form is for every day; WGRAD_PROCESSES=long runs every preset, and twenty kills.
LONG = os.environ.get("WGRAD_PROCESSES") == "long"
KILLS = 20 if LONG else 2
PATIENCE = 30  # seconds that any process may live on after one of them is gone

# Small data for every preset, in few batches; the last of an epoch is short.
IMAGES = ["--train-limit", 130, "--test-limit", 50, "--batch-size", 16]
PRESETS = {
    "mnist-cnn": [*IMAGES, "--epochs", 2, "--clip-norm", 0.5, "--ema", 0.9],
    "mnist-deep": [*IMAGES, "--augment", "shift=2,rotate=10", "--schedule", "plateau", "--optimizer", "sgd"],
    "mnist-bn": [*IMAGES, "--epochs", 2, "--optimizer", "adamw", "--schedule", "cosine", "--class-weights", "balanced"],
    "resnet-small": [*IMAGES, "--train-limit", 50],
    "vit-mini": [*IMAGES, "--train-limit", 50],
    "unet-small": ["--data", "scenes", "--batch-size", 8, "--train-limit", 40, "--test-limit", 20],
    "char-rnn": ["--data", "text.txt", "--batch-size", 8],
    "gpt-mini": ["--data", "text.txt", "--batch-size", 8],
    "text-classifier": ["--data", "classes.tsv", "--batch-size", 16],
    "translator": ["--data", "pairs.tsv", "--batch-size", 16],
    "translator-transformer": ["--data", "pairs.tsv", "--batch-size", 16],
    "mlp": ["--data", "table.csv", "--target", "y", "--batch-size", 16, "--epochs", 3],
}


def launchers():
    """Open MPI's and MPICH's launchers: Debian has both side by side."""
    found = {}
    for program in ["mpirun.openmpi", "mpirun.mpich", "mpirun"]:
        if shutil.which(program):
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            kind = "Open MPI" if "Open MPI" in version or "OpenRTE" in version else "MPICH"
            options = ["--allow-run-as-root", "--oversubscribe"] if kind == "Open MPI" else []
            found.setdefault(kind, [program, *options])
    assert found, "no mpirun: install Open MPI or MPICH (Debian: apt install openmpi-bin mpich)"
    return found


LAUNCHERS = launchers()


def start(mpi, count, *arguments, cwd, **options):
    command = [*LAUNCHERS[mpi], "-n", str(count), COMMAND, *map(str, arguments)]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=cwd, env=environment(), **pipe, **options)


def run(mpi, count, *arguments, cwd, expected=0, **options):
    """Runs several processes, and returns what they said."""
    process = start(mpi, count, *arguments, cwd=cwd, **options)
    out, err = process.communicate(timeout=600)
    assert process.returncode == expected, f"{mpi}, {count} × {arguments}: status {process.returncode}\n{out}{err}"
    return out + err


def data(folder):
    """Small texts and tables, made here."""
    chance = random.Random(5)
    words = "red green blue one two three sun moon star cat dog bird".split()
    line = lambda: " ".join(chance.choice(words) for _ in range(chance.randint(2, 7)))
    (folder / "text.txt").write_text("\n".join(line() for _ in range(150)))
    (folder / "classes.tsv").write_text("".join(f"{chance.choice('abc')}\t{line()}\n" for _ in range(90)))
    (folder / "pairs.tsv").write_text("".join(f"{line()}\t{line()}\n" for _ in range(70)))
    rows = [[chance.random() for _ in range(3)] for _ in range(100)]
    (folder / "table.csv").write_text("a,b,c,y\n" + "".join(f"{a},{b},{c},{2 * a - b * c}\n" for a, b, c in rows))
    wgrad("data", "make", "segmentation", "--out", "scenes", "--train", 40, "--test", 20, cwd=folder)


def same(one, other):
    """Whether two runs left the same bytes, and said the same of every epoch, times apart."""
    def epochs(run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes() and epochs(one) == epochs(other)


def presets(folder):
    """Every preset in two and four processes, on the native CPU and a software adapter, the MPIs in turn."""
    mpis, turn = list(LAUNCHERS), 0
    for model in PRESETS if LONG else ["mnist-bn", "text-classifier"]:
        options = PRESETS[model]
        options = ["--model", model, "--epochs", 1, "--no-report", "--quiet", *options]
        for device in ["cpu", os.environ.get("WGRAD_DEVICE") or "software"]:
            for count in [2, 4] if LONG else [3]:
                runs = [folder / f"{model}-{device}-{count}-{name}" for name in ["one", "all"]]
                wgrad("train", *last(options), "--device", device, "--accumulate", count, "-o", runs[0], cwd=folder)
                mpi = mpis[turn % len(mpis)]
                run(mpi, count, "train", *last(options), "--device", device, "-o", runs[1], cwd=folder)
                assert same(*runs), f"{model} on {device} in {count} processes over {mpi}"
                turn += 1
        print(f"  {model}: several processes leave the bytes of one", flush=True)


def last(options):
    """Options of which the last of each name counts."""
    pairs = {}
    options = [str(option) for option in options]
    while options:
        name = options.pop(0)
        pairs[name] = [options.pop(0)] if options and not options[0].startswith("-") else []
    return [word for name, value in pairs.items() for word in [name, *value]]


def faults(folder):
    """What cannot be is refused by all processes, in one sentence, with status 2."""
    for mpi in LAUNCHERS:
        said = run(mpi, 2, "train", "--model", "nope", cwd=folder, expected=2)
        assert said.count("error: no model 'nope'") == 1, said
        said = run(mpi, 2, "train", "--processes-required", 3, cwd=folder, expected=2)
        assert said.count("--processes-required 3: found 2 processes") == 1, said
        # Other settings, or other data, in one process.
        launcher, small = LAUNCHERS[mpi], ["train", "--device", "cpu", "--batch-size", "16", "--test-limit", "50"]
        for first, second, expected in [
            (["--seed", "1"], ["--seed", "2"], "settings, seed: process 0 has 1, process 1 has 2"),
            (["--train-limit", "130"], ["--train-limit", "120"], "samples: process 0 has 130 + 50, process 1 has 120 + 50"),
            ([], ["--data", "nowhere"], "process 1: "),
            ([], ["--checkpoint-every", "3"], "checkpoint-every: process 0 has none, process 1 has 3"),
            ([], ["--processes-required", "3"], "process 1: --processes-required 3: found 2 processes"),
        ]:
            command = [*launcher, "-n", "1", COMMAND, *small, *first, ":", "-n", "1", COMMAND, *small, *second]
            done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
            assert done.returncode == 2 and done.stderr.count("error: ") == 1 and expected in done.stderr, done
        # Another MPI's library takes each process for the only one; one that is missing is named.
        for library, expected in [("libnone.so", "WGRAD_MPI=libnone.so: libnone.so: cannot open"), (other_library(mpi), "it is another MPI's")]:
            if library:
                env = {**environment(), "WGRAD_MPI": library}
                command = [*launcher, "-n", "2", COMMAND, *small]
                done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
                assert done.returncode == 2 and expected in done.stderr, done
        print(f"  {mpi}: refusals name what was found", flush=True)


def other_library(mpi):
    """The library of the other MPI, where both are here."""
    if len(LAUNCHERS) < 2:
        return None
    return "libmpich.so.12" if mpi == "Open MPI" else "libmpi.so.40"


def long_run():
    """A run of some seconds."""
    return last(["--model", "mnist-bn", "--device", "cpu", *IMAGES, "--train-limit", 330, "--epochs", 12, "--no-report", "--quiet"])


def members(run):
    """The processes that train into this folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # It has ended.
        if words[0] == COMMAND and str(run) in words:
            found.append(int(place.parent.name))
    return sorted(found)


def kills(folder):
    """One process is killed; the others are gone within seconds, and the run goes on to the bytes that it would have had."""
    reference = folder / "reference"
    wgrad("train", *long_run(), "--accumulate", 4, "-o", reference, cwd=folder)
    chance, longest = random.Random(int(os.environ.get("SEED", "1"))), 0
    for number in range(KILLS):
        here, mpi = folder / f"killed-{number}-", chance.choice(list(LAUNCHERS))
        process = start(mpi, 4, "train", *long_run(), "--checkpoint-every", 3, "-o", here, cwd=folder)
        until("a checkpoint", lambda: (here / "checkpoints" / "last.safetensors").exists() or process.poll() is not None)
        time.sleep(chance.random() * 1.5)
        alive = members(here)
        if alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
        begun = time.monotonic()
        process.communicate(timeout=PATIENCE)
        until("the end of all processes", lambda: not members(here))
        longest = max(longest, time.monotonic() - begun)
        count = chance.choice([1, 2, 3, 4])
        run(mpi, count, "train", "--resume", here, "--no-report", "--quiet", cwd=folder)
        assert same(reference, here), f"kill {number}, seed {os.environ.get('SEED', '1')}"
    print(f"  {KILLS} kills: the last process was gone after {longest:.1f} s at most; the same bytes each time", flush=True)


def stops(folder):
    """SIGTERM at one process, or a disk that fails the first: all end, and a stopped run goes on."""
    reference = folder / "reference"
    if not reference.exists():
        wgrad("train", *long_run(), "--accumulate", 4, "-o", reference, cwd=folder)
    for mpi in LAUNCHERS if LONG else [list(LAUNCHERS)[0]]:
        for whom in ["launcher", "process"]:
            here = folder / f"stopped-{whom}-{mpi.replace(' ', '')}-"
            process = start(mpi, 4, "train", *long_run(), "-o", here, cwd=folder)
            until("a checkpoint", lambda: (here / "checkpoints" / "last.safetensors").exists())
            os.kill(process.pid if whom == "launcher" else members(here)[-1], signal.SIGINT if whom == "launcher" else signal.SIGTERM)
            out, err = process.communicate(timeout=PATIENCE)
            until("the end of all processes", lambda: not members(here))
            assert "stopped at step" in err and "go on with: mpirun -n 4 wgrad train --resume" in err, (whom, process.returncode, err)
            run(mpi, 2, "train", "--resume", here, "--no-report", "--quiet", cwd=folder)
            assert same(reference, here), mpi
        lost = folder / f"lost-{mpi.replace(' ', '')}-"
        process = start(mpi, 2, "train", *long_run(), "-o", lost, cwd=folder)
        until("a checkpoint", lambda: (lost / "checkpoints" / "last.safetensors").exists())
        (lost / "checkpoints").rename(folder / f"gone-{mpi}")
        (lost / "checkpoints").write_text("no folder")
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and err.count("error: ") == 1 and "checkpoints" in err, (process.returncode, err)
    print("  a stop, and a disk that fails the first process, end all", flush=True)


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data(folder)
        for check in [faults, kills, stops, presets]:
            if len(sys.argv) == 1 or check.__name__ in sys.argv[1:]:
                check(folder)


if __name__ == "__main__":
    print(f"processes over {', '.join(LAUNCHERS)}", flush=True)
    main()
