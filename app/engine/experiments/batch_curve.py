"""Batch-mates: what a sample's answer owes to the others in its batch, and which modules let them talk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
import torch
from msgspec.structs import replace
from torch import nn

from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments import culprits, measure
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.parting import Call, all_same, close, identical, listen, parting
from modelight.engine.experiments.trials import Trials, all_flags, quiet
from modelight.engine.modules import policy
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy
from modelight.protocol import (
    Array,
    BatchCurve,
    BatchPoint,
    BatchSide,
    Clause,
    GradMode,
    InputInfo,
    LayerCompany,
    Measure,
)

SAMPLES = 64
"""Samples that are run at most."""
SHOWN = 8
"""Of so many samples the answers are told."""


@dataclass(frozen=True)
class Filled(Inputs):
    """Inputs of which every batch is full: the last one reaches back to samples that have been in one before."""

    def batches(self, size: int) -> Iterator[Batch]:
        for start in range(0, self.samples, size):
            stop = min(start + size, self.samples)
            yield self.part(stop - size, stop)

    def places(self, size: int) -> list[int]:
        """Which row of the joined outputs is each sample's."""
        last = self.samples // size * size
        return [index if index < last else index + size - (self.samples - last) for index in range(self.samples)]


@dataclass
class _Tried:
    """What the runs with one batch size gave."""

    size: int
    runs: list[BareRun] = field(default_factory=list)
    values: Floats | None = None
    """runs × samples × width, as they came out; None where the model raised."""
    problem: Clause | None = None


def sizes_up_to(samples: int) -> list[int]:
    """1, 2, 4, 8 … and ``samples``."""
    powers = takewhile(lambda size: size < samples, (2**power for power in range(samples.bit_length() + 1)))
    return [*powers, samples]


def batch_curve(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    seed: int,
    runs: int,
    grad_mode: GradMode = "no_grad",
    info: InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> BatchCurve:
    """Run at most the first :data:`SAMPLES` samples in batches of 1, 2, 4, 8 … and all, in train and in eval.

    Run i is seeded with ``seed`` + i before its first forward and starts from the same parameters and buffers. A batch
    size at which the model raises is reported as such. The layers are compared on one forward each.

    Args:
        info, classes: what is known of the input and the classes; decides how the output is read.

    Raises:
        Cancelled: ``should_stop`` said so; asked before each forward.
        EngineError: the first forward of a lazy model failed.
    """
    empty = _empty(inputs, seed, runs, grad_mode)
    count = empty.samples
    if count < 2:
        return _without(empty, "needs-samples" if inputs.splittable else "needs-cutting")
    part = inputs.part(0, count)
    filled = Filled(part.args, part.kwargs, count, labels=inputs.labels[:count])
    lazy.materialise_with(model, part, seed)
    trials = Trials(model, rows, grad_mode, should_stop)
    tried = {training: _try_all(trials, filled, training, empty, progress) for training in (True, False)}
    everything = [*tried[False], *tried[True]]
    problem = _incomparable(everything)
    if problem is not None:
        return _without(empty, problem)
    reading, seen = _reading(everything, info, classes)
    labels = _labels(info, count)
    return replace(
        empty,
        field=seen.name,
        shape=seen.shape,
        measure=reading,
        labelled=sum(label is not None for label in labels) if reading != "raw" else 0,
        sides=[_side(trials, filled, training, tried[training], reading, labels, seed) for training in tried],
    )


def _empty(inputs: Inputs, seed: int, runs: int, grad_mode: GradMode) -> BatchCurve:
    """What is known before anything has run."""
    count = min(inputs.samples, SAMPLES) if inputs.splittable else 1
    return BatchCurve(
        seed=seed,
        runs=runs,
        grad_mode=grad_mode,
        samples=count,
        shown=min(count, SHOWN),
        sizes=sizes_up_to(count),
        field="",
        shape=(),
        measure="raw",
        labelled=0,
        sides=[],
    )


def _without(empty: BatchCurve, why: str) -> BatchCurve:
    return replace(empty, unseen=Clause(why))


# --------------------------------------------------------------------------------------------------------- the curves


def _try_all(
    trials: Trials, filled: Filled, training: bool, asked: BatchCurve, progress: ReportProgress
) -> list[_Tried]:
    """Every batch size in one mode."""
    state = State(all_flags(trials.rows, training), trials.grad_mode)
    found = []
    for step, size in enumerate(asked.sizes):
        share = (step / len(asked.sizes) + (not training)) / 2
        progress(Clause("batch-size-train" if training else "batch-size-eval", {"size": size}), share)
        bench = Bench(trials.model, trials.rows, filled, size, trials.should_stop)
        found.append(_try(bench, filled, state, asked.seed, asked.runs))
    return found


def _try(bench: Bench, filled: Filled, state: State, seed: int, runs: int) -> _Tried:
    tried = _Tried(bench.batch)
    try:
        tried.runs = bench.repeat(state, seed, runs)
        tried.values = culprits.stack(tried.runs)
        if tried.runs[0].per_sample:
            tried.values = tried.values[:, filled.places(bench.batch)]
    except (Exception, SystemExit) as error:
        tried.problem, tried.values = bench.problem(error, state, seed + len(tried.runs)), None
    return tried


def _incomparable(tried: Sequence[_Tried]) -> str | None:
    """Why the answers of different sizes cannot be compared, if they cannot."""
    worked = [one for one in tried if one.values is not None]
    if any(not run.per_sample for one in worked for run in one.runs):
        return "no-row-per-sample"
    return "width-varies" if len({one.values.shape[1:] for one in worked if one.values is not None}) > 1 else None


def _reading(tried: Sequence[_Tried], info: InputInfo | None, classes: Sequence[str]) -> tuple[Measure, BareRun]:
    """How all answers are read: one way that fits every value of them; and the run that names the output."""
    worked = [one for one in tried if one.values is not None]
    if not worked:
        return "raw", BareRun()
    seen = worked[0].runs[0]
    width = seen.values.shape[1]
    values = np.concatenate([one.values.reshape(-1, width) for one in worked if one.values is not None])
    if not width:
        return "raw", seen
    reading = measure.choose(values, name=seen.name, shape=seen.shape, per_sample=True, info=info, classes=classes)
    return reading, seen


def _labels(info: InputInfo | None, count: int) -> list[int | None]:
    return list(info.labels[:count]) if info is not None else []


def _point(tried: _Tried, reading: Measure, labels: Sequence[int | None]) -> BatchPoint:
    if tried.values is None:
        return BatchPoint(tried.size, problem=tried.problem)
    values = measure.read(tried.values, reading)
    answer = measure.Answer.of(values[:, :SHOWN])
    return BatchPoint(
        tried.size,
        values=Array.of(answer.mean.astype(np.float32)),
        deviations=Array.of(answer.deviation.astype(np.float32)) if len(values) > 1 else None,
        exact=len({run.digest for run in tried.runs}) == 1,
        right=_right(values, labels) if reading != "raw" else [],
    )


def _right(values: Floats, labels: Sequence[int | None]) -> list[int]:
    """How many labelled samples are right in each run: by the largest probability; of a single one, by 0.5."""
    known = [(index, label) for index, label in enumerate(labels) if label is not None]
    if not known or len(labels) != values.shape[1]:
        return []
    answers = values.argmax(axis=-1) if values.shape[-1] > 1 else (values[..., 0] > 0.5).astype(np.int64)
    finite = np.asarray(np.isfinite(values).all(axis=-1))
    return [
        sum(bool(fine[index]) and int(run[index]) == label for index, label in known)
        for run, fine in zip(answers, finite, strict=True)
    ]


# --------------------------------------------------------------------------------------------------------- the layers


def _side(
    trials: Trials,
    filled: Filled,
    training: bool,
    tried: Sequence[_Tried],
    reading: Measure,
    labels: Sequence[int | None],
    seed: int,
) -> BatchSide:
    points = [_point(one, reading, labels) for one in tried]
    least = next((one.size for one in tried if one.values is not None), filled.samples)
    if least == filled.samples or tried[-1].values is None:
        return BatchSide(training, points, least, unseen=Clause("company-raises"))
    return _layers(trials, filled, BatchSide(training, points, least), seed)


def _layers(trials: Trials, filled: Filled, side: BatchSide, seed: int) -> BatchSide:
    """The layers of one mode, with all quiet that draws by its flag."""
    rows = trials.rows
    flags = quiet(rows, all_flags(rows, side.training))
    few, all_ = filled.part(0, side.least), filled.part(0, filled.samples)
    try:
        alone, again = (listen(trials, few, value, flags=flags, cut=_first) for value in (seed, seed + 1))
        company = listen(trials, all_, seed, flags=flags, cut=_first)
    except EngineError as error:
        if error.kind == "cancelled":
            raise
        return replace(side, unseen=Clause("company-raises"))
    draws = parting(alone, again, identical)
    alone, company = _comparable(alone, company)
    end = len(alone) if draws is None else draws
    same_calls = sum(1 for _ in takewhile(lambda pair: pair[0].row == pair[1].row, zip(alone, company, strict=False)))
    unseen = Clause("company-draws", {"module": rows.paths[alone[end].row]}) if draws is not None else None
    if same_calls < min(end, len(alone)):
        end, unseen = same_calls, Clause("company-calls-differ")
    first = parting(alone[:end], company[:end], close)
    called = {call.row for call in company}
    return replace(
        side,
        first=None if first is None else rows.paths[alone[first].row],
        mixing=[rows.paths[row] for row in sorted(called) if _mixes(rows.modules[row], side.training)],
        layers=_distances(rows, alone[:end], company[:end]),
        unseen=unseen,
    )


def _comparable(alone: Sequence[Call], company: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """Both without the outputs whose first row is not the sample's: a recurrent layer's state, say."""
    lefts, rights = list(alone), list(company)
    for place, (left, right) in enumerate(zip(alone, company, strict=False)):
        pairs = [(a, b) for a, b in zip(left.gave, right.gave, strict=False) if a.shape == b.shape]
        lefts[place] = left._replace(gave=[a for a, _ in pairs])
        rights[place] = right._replace(gave=[b for _, b in pairs])
    return lefts, rights


def _first(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:1] if tensor.dim() else tensor


def _mixes(module: nn.Module, training: bool) -> bool:
    rule = policy.policy(module, training)
    return rule is not None and rule.uses == "batch"


def _distances(rows: Rows, alone: Sequence[Call], company: Sequence[Call]) -> list[LayerCompany]:
    """One per module: its first call."""
    found: dict[int, LayerCompany] = {}
    for one, other in zip(alone, company, strict=True):
        if one.row not in found:
            path, kind = rows.paths[one.row], type(rows.modules[one.row]).__name__
            rounding = all_same(one.gave, other.gave, close)
            found[one.row] = LayerCompany(one.row, path, kind, _apart(one.gave, other.gave), rounding)
    return list(found.values())


def _apart(alone: Sequence[torch.Tensor], company: Sequence[torch.Tensor]) -> float | None:
    """‖company − alone‖₂ / (‖company‖₂ + ‖alone‖₂) of the first tensor; None where no row is the sample's own."""
    if not alone or not company or alone[0].shape != company[0].shape:
        return None
    left, right = (tensor.detach().cpu().to(torch.float64) for tensor in (alone[0], company[0]))
    if torch.equal(left, right):
        return 0.0
    size = float(left.norm() + right.norm())
    apart = float((right - left).norm()) / size if size else float("nan")
    return apart if np.isfinite(apart) else None
