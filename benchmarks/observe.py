"""What observing costs: observed forward / bare forward, pair by pair in one run, beside torchinfo and torchlens.

``python -m benchmarks [--threads 1] [--pairs 15]``. Observed means a whole frame: guard, captures of every module,
masks, ledger and autograd. The clock is the process's CPU time, so that other programs disturb little; ratios are taken
between neighbours, and an A/A control (bare / bare) says how much of them is noise.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.models import bert_base, resnet50
from modelight import protocol
from modelight.engine import runner
from modelight.engine.batches import Inputs
from modelight.engine.rows import Rows

GOALS = {False: 1.10, True: 1.25}
"""With one thread, by training flag."""


def seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def ratios(bare: Callable[[], object], other: Callable[[], object], pairs: int) -> list[float]:
    """``other`` over the mean of the bare runs before and after it."""
    bare()
    other()
    found = []
    before = seconds(bare)
    for _ in range(pairs):
        observed, after = seconds(other), seconds(bare)
        found.append(2 * observed / (before + after))
        before = after
    return found


def contenders(model: nn.Module, given: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """What is compared with a bare forward; packages that are not installed are left out."""
    samples = len(next(iter(given.values())))
    rows, inputs = Rows(model), Inputs((), given, samples=samples)

    def frame(norm_statistics: bool) -> protocol.Frame:
        command = protocol.Run(id=1, grad_mode="no_grad", batch=samples, norm_statistics=norm_statistics)
        return runner.run(model, inputs, command, rows=rows)

    def bare() -> object:
        with torch.no_grad():
            return model(**given)

    found: dict[str, Callable[[], object]] = {
        "bare (A/A)": bare,
        "modelight": lambda: frame(False),
        "modelight, statistics in eval too": lambda: frame(True),
    }
    mode = "train" if model.training else "eval"
    peers: dict[str, Callable[[Any], object]] = {
        "torchinfo": lambda package: package.summary(model, input_data=given, verbose=0, mode=mode),
        "torchlens": lambda package: package.trace(model, (), given),
    }
    for name, call in peers.items():
        if importlib.util.find_spec(name) is not None:
            found[name] = partial(call, importlib.import_module(name))
    return found


def measure(name: str, build: Callable[[], tuple[nn.Module, dict[str, Any]]], training: bool, pairs: int) -> None:
    model, given = build()
    model.train(training)
    calls = contenders(model, given)
    bare = calls["bare (A/A)"]
    for who, call in calls.items():
        try:
            found = ratios(bare, call, pairs)
        except Exception as error:  # a peer that cannot read this model: the others go on
            print(f"{name:10} {'train' if training else 'eval':5} {who:34} failed: {type(error).__name__}")
            continue
        middle, low, high = statistics.median(found), min(found), max(found)
        goal = f"  goal {GOALS[training]:.2f}" if who == "modelight" else ""
        print(f"{name:10} {'train' if training else 'eval':5} {who:34} {middle:.3f} ({low:.3f} – {high:.3f}){goal}")


def main() -> None:
    """Print one line per model, mode and contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {options.threads} thread(s), {options.pairs} pairs, CPU time")
    for name, build in {"ResNet-50": resnet50, "BERT-base": bert_base}.items():
        for training in (False, True):
            measure(name, build, training, options.pairs)
