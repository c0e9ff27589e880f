"""TensorBoard itself reads a run's event file: the tags, steps and values of metrics.jsonl, also after a resume."""

import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

WGRAD = os.environ.get("WGRAD") or str(Path(__file__).resolve().parents[2] / "target" / "release" / "wgrad")


def train(*arguments):
    command = [WGRAD, "train", *map(str, arguments), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stderr}"


def single(value):
    """The nearest number in single precision, which is what an event holds."""
    return struct.unpack("f", struct.pack("f", value))[0]


def check(run, epochs):
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == epochs, metrics
    events = EventAccumulator(str(run))
    events.Reload()
    numbers = [tag for tag in metrics[0] if isinstance(metrics[0][tag], (int, float))]
    assert sorted(numbers + ["weights_sha256"]) == sorted(metrics[0]), metrics[0]
    assert sorted(events.Tags()["scalars"]) == sorted(numbers), events.Tags()
    for tag in numbers:
        found = [(point.step, point.value) for point in events.Scalars(tag)]
        assert found == [(line["step"], single(line[tag])) for line in metrics], (tag, found)
        times = [point.wall_time for point in events.Scalars(tag)]
        assert times == sorted(times) and times[0] > 1e9, times


def test_tensorboard():
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        train("--run-dir", run, "--device", "cpu", "--train-limit", 1000, "--test-limit", 200, "--epochs", 3)
        assert len(list(run.glob("events.out.tfevents.*"))) == 1
        check(run, 3)
        # An epoch that was written after the last checkpoint is cut off; the run is then prolonged.
        file = next(run.glob("events.out.tfevents.*"))
        file.write_bytes(file.read_bytes() + b"half a record")
        train("--resume", run, "--epochs", 5)
        check(run, 5)


if __name__ == "__main__":
    test_tensorboard()
    print("TensorBoard reads the same numbers as metrics.jsonl has")
