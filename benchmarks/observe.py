"""What observing costs: observed forward / bare forward, pair by pair in one run, beside other packages.

``python -m benchmarks [--threads 1] [--pairs 15]`` prints a table in Markdown. Observed means a whole frame: guard,
captures of every module, masks, ledger, the output's fields and the numpy pass. The clock is the process's CPU time
(all threads together), so that other programs disturb less; each ratio is taken to the mean of the bare runs before and
after, and the A/A control (bare / bare) says how much of them is noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.models import bert_base, resnet50
from benchmarks.peers import PEERS
from modelight import protocol
from modelight.engine.batches import Inputs
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner

GOALS = {False: 1.10, True: 1.25}
"""With one thread, by training flag."""
PEER_PAIRS = 5
"""For those that cost many times a forward."""
Call = Callable[[], object]


def seconds(call: Call) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def ratios(bare: Call, other: Call, pairs: int) -> list[float]:
    """``other`` over the mean of the bare runs before and after it."""
    for warming in (bare, other, bare, other):
        warming()
    found = []
    before = seconds(bare)
    for _ in range(pairs):
        observed, after = seconds(other), seconds(bare)
        found.append(2 * observed / (before + after))
        before = after
    return found


def contenders(model: nn.Module, given: dict[str, Any]) -> dict[str, Call]:
    """A bare forward, and observed ones."""
    samples = len(next(iter(given.values())))
    rows, inputs = Rows(model), Inputs((), given, samples=samples)

    def frame(norm_statistics: bool) -> protocol.Frame:
        command = protocol.Run(id=1, grad_mode="no_grad", batch=samples, norm_statistics=norm_statistics)
        return runner.run(model, inputs, command, rows=rows)

    def bare() -> object:
        with torch.no_grad():
            return model(**given)

    found: dict[str, Call] = {"bare (A/A)": bare, "modelight": partial(frame, False)}
    if not model.training and any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        found["modelight, batch statistics in eval too"] = partial(frame, True)
    return found


def report(name: str, training: bool, who: str, ratio: Callable[[], list[float]]) -> None:
    """One line of the table; a package that is not installed or cannot read the model is said to be so."""
    head = f"| {name} | {'train' if training else 'eval'} | {who}"
    try:
        found = ratio()
    except Exception as error:  # the others go on
        print(f"{head} | {type(error).__name__}: {error} | | |", flush=True)
        return
    low, middle, high = statistics.quantiles(found, n=4)
    goal = f"≤ {GOALS[training]:.2f}" if who == "modelight" else ""
    print(f"{head} | {middle:.3f} | {low:.3f} – {high:.3f} | {goal} |", flush=True)


def measure(name: str, build: Callable[[], tuple[nn.Module, dict[str, Any]]], training: bool, pairs: int) -> None:
    """All lines of one model in one mode."""
    model, given = build()
    model.train(training)
    calls = contenders(model, given)
    bare = calls["bare (A/A)"]
    for who, call in calls.items():
        report(name, training, who, partial(ratios, bare, call, pairs))
    for who, prepare in PEERS.items():

        def beside(prepare: Callable[[nn.Module, dict[str, Any]], Call] = prepare) -> list[float]:
            return ratios(bare, prepare(model, given), min(pairs, PEER_PAIRS))

        report(name, training, who, beside)


def main() -> None:
    """Print one line per model, mode and contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {options.threads} thread(s), {options.pairs} pairs, CPU time\n")
    print("| model | mode | what | ratio (median) | quartiles | goal |\n|---|---|---|---|---|---|")
    for name, build in {"ResNet-50": resnet50, "BERT-base": bert_base}.items():
        for training in (False, True):
            measure(name, build, training, options.pairs)
