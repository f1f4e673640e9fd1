"""MC dropout: how far passes with dropout spread, and which dropouts make the spread.

Y. Gal and Z. Ghahramani, Dropout as a Bayesian Approximation, 2016: the mean over passes with dropout on is the
prediction, their spread the model's uncertainty. It is no uncertainty at all where no dropout reaches the output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from msgspec.structs import replace as with_fields
from torch import nn

from modelight.engine import catalog
from modelight.engine.batches import Inputs
from modelight.engine.catalog import drops
from modelight.engine.errors import Cancelled, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments import culprits, measure
from modelight.engine.experiments.answers import Floats
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.measure import Answer
from modelight.engine.experiments.parting import listen
from modelight.engine.experiments.trials import Trials, all_flags
from modelight.engine.modules import flag
from modelight.engine.modules.modes import PRESETS
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy
from modelight.protocol import Array, Clause, DropoutShare, GradMode, InputInfo, McDropout, Measure

SAMPLES = 64
"""Samples that are run at most."""
FORWARDS = 2048
"""About how many forwards the dropouts may take one by one; many of them get fewer passes each."""
FEWEST = 8
Verdict = Literal["adds", "rate-zero", "not-called", "draws-nothing", "no-effect", "raises"]
_DISTRIBUTIONS = ("softmax", "probabilities", "log_probabilities")


@dataclass(frozen=True)
class _Passes:
    """Passes in one state, and what they answered."""

    runs: list[BareRun]
    values: Floats
    """passes × samples × width, as read."""

    @property
    def answer(self) -> Answer:
        return Answer.of(self.values)

    @property
    def exact(self) -> bool:
        return len({run.digest for run in self.runs}) == 1

    @property
    def variance(self) -> float:
        """Over the passes, averaged over samples and values."""
        return float((self.answer.deviation**2).mean())


@dataclass(frozen=True)
class _Switched:
    """The bench, and what flags stand for: all dropouts on, all of them off."""

    bench: Bench
    grad_mode: GradMode
    seed: int
    on: Mapping[str, bool]
    off: Mapping[str, bool]
    reading: Measure = "raw"

    def passes(self, flags: Mapping[str, bool], count: int, *, spare: bool = True) -> _Passes:
        """``count`` passes; where nothing draws and ``spare``, two."""
        state = State(flags, self.grad_mode)
        runs = (
            self.bench.repeat(state, self.seed, count)
            if spare
            else [self.bench.run(state, self.seed + index) for index in range(count)]
        )
        return _Passes(runs, measure.read(culprits.stack(runs), self.reading))


def mc_dropout(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    seed: int,
    batch: int = 1,
    passes: int = 32,
    grad_mode: GradMode = "no_grad",
    info: InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> McDropout:
    """Run at most the first :data:`SAMPLES` samples ``passes`` times with the flags of the preset ``mc_dropout``, then
    with each dropout alone on.

    Pass i is seeded with ``seed`` + i before its first forward and starts from the same parameters and buffers.

    Args:
        batch: samples per forward.
        info, classes: what is known of the input and the classes; decides how the output is read.

    Raises:
        EngineError: the model raised with dropouts on, returned no tensor, or another shape each time.
        Cancelled: ``should_stop`` said so.
    """
    batch, passes = max(1, batch), max(2, passes)
    inputs = _first(inputs)
    lazy.materialise_with(model, inputs.part(0, batch), seed)
    sites = dropout_rows(rows)
    on = {path: PRESETS["mc_dropout"](rows.modules[rows.by_path(path)]) for path in all_flags(rows, True)}
    off = {**on, **dict.fromkeys((path for row in sites for path in _paths(rows, row)), False)}
    switched = _Switched(Bench(model, rows, inputs, batch, should_stop), grad_mode, seed, on, off)
    progress(Clause("mc-passes", {"passes": passes}), 0.0)
    raw = switched.passes(on, passes, spare=False)
    seen = raw.runs[0]
    reading = measure.choose(
        raw.values, name=seen.name, shape=seen.shape, per_sample=seen.per_sample, info=info, classes=classes
    )
    switched = replace(switched, reading=reading)
    whole = _Passes(raw.runs, measure.read(raw.values, reading))
    return _reply(switched, whole, passes, sites, progress)


def dropout_rows(rows: Rows) -> list[int]:
    """The first row of everything that the preset switches on and that drops."""
    return [
        index
        for index, module in enumerate(rows.modules)
        if rows.index_of(module) == index
        and flag.read(module) is not None
        and PRESETS["mc_dropout"](module)
        # Its own flag decides only about a fused path, which would keep the dropouts in it silent.
        and catalog.describe(module, 0).kind != "transformer_layer"
    ]


def _first(inputs: Inputs) -> Inputs:
    if not inputs.splittable or inputs.samples <= SAMPLES:
        return inputs
    part = inputs.part(0, SAMPLES)
    return Inputs(part.args, part.kwargs, SAMPLES, labels=inputs.labels[:SAMPLES])


def _paths(rows: Rows, row: int) -> list[str]:
    return [rows.paths[place] for place in rows.places(rows.modules[row])]


def _reply(switched: _Switched, whole: _Passes, passes: int, sites: list[int], progress: ReportProgress) -> McDropout:
    bench, answer, seen = switched.bench, whole.answer, whole.runs[0]
    forwards = len(list(bench.inputs.batches(bench.batch)))
    site_passes = min(passes, max(FEWEST, FORWARDS // max(1, len(sites) * forwards)))
    nothing = switched.passes(switched.off, site_passes)
    dropouts = _shares(switched, whole, nothing, sites, site_passes, progress)
    entropy, expected = _entropies(whole.values, switched.reading)
    return McDropout(
        seed=switched.seed,
        batch=bench.batch,
        passes=passes,
        grad_mode=switched.grad_mode,
        samples=bench.inputs.samples,
        field=seen.name,
        shape=seen.shape,
        per_sample=all(run.per_sample for run in whole.runs),
        measure=switched.reading,
        mean=Array.of(answer.mean.astype(np.float32)),
        deviation=Array.of(answer.deviation.astype(np.float32)),
        evaluated=_evaluated(switched, answer.mean.shape),
        entropy=entropy,
        expected_entropy=expected,
        spread=measure.overall(answer.deviation, switched.reading),
        exact=whole.exact,
        nothing_on=measure.overall(nothing.answer.deviation, switched.reading),
        site_passes=site_passes,
        dropouts=sorted(dropouts, key=lambda share: -(share.share or 0.0)),
    )


def _evaluated(switched: _Switched, shape: tuple[int, ...]) -> Array | None:
    """One run with everything in eval."""
    try:
        values = switched.passes(all_flags(switched.bench.rows, False), 1).values[0]
    except Cancelled:
        raise
    except (Exception, SystemExit):
        return None
    return Array.of(values.astype(np.float32)) if values.shape == shape else None


def _entropies(values: Floats, reading: Measure) -> tuple[Array | None, Array | None]:
    """Entropy of the mean distribution, and mean entropy of the passes; per sample, in nats."""
    if reading == "raw":
        return None, None
    if values.shape[-1] == 1:
        values = np.concatenate([values, 1.0 - values], axis=-1)
    elif reading not in _DISTRIBUTIONS:
        return None, None
    of_mean, of_passes = _entropy(values.mean(axis=0)), _entropy(values).mean(axis=0)
    return Array.of(of_mean.astype(np.float32)), Array.of(of_passes.astype(np.float32))


def _entropy(shares: Floats) -> Floats:
    """−Σ p log p over the last axis; 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.where(shares == 0, 0.0, shares * np.log(shares)).sum(axis=-1))


# ------------------------------------------------------------------------------------------------------ one at a time


def _shares(
    switched: _Switched, whole: _Passes, nothing: _Passes, sites: list[int], count: int, progress: ReportProgress
) -> list[DropoutShare]:
    rows = switched.bench.rows
    trials = Trials(switched.bench.model, rows, switched.grad_mode, switched.bench.should_stop)
    batch = switched.bench.inputs.part(0, switched.bench.batch)
    called = {call.row for call in listen(trials, batch, switched.seed, flags=switched.on, cut=_empty)}
    found = []
    for step, row in enumerate(sites):
        progress(Clause("dropout-alone", {"module": rows.paths[row]}), 0.2 + 0.8 * step / len(sites))
        found.append(_share(switched, whole, nothing, row, count, was_called=row in called))
    return found


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1)[:0]


def _share(
    switched: _Switched, whole: _Passes, nothing: _Passes, row: int, count: int, *, was_called: bool
) -> DropoutShare:
    rows = switched.bench.rows
    module = rows.modules[row]
    kind = catalog.describe(module, 0).kind
    share = DropoutShare(
        row,
        rows.paths[row],
        type(module).__name__,
        p=None if kind == "functional_dropout" else drops.rate(module),
        spread=None,
        share=None,
        verdict="raises",
    )
    try:
        alone = switched.passes({**switched.off, **dict.fromkeys(_paths(rows, row), True)}, count)
    except Cancelled:
        raise
    except (Exception, SystemExit):
        return share
    return with_fields(
        share,
        spread=measure.overall(alone.answer.deviation, switched.reading),
        share=max(0.0, alone.variance - nothing.variance) / whole.variance if whole.variance else None,
        verdict=_verdict(share, alone, nothing, was_called=was_called),
    )


def _verdict(share: DropoutShare, alone: _Passes, nothing: _Passes, *, was_called: bool) -> Verdict:
    """Why it adds nothing, where every pass gave the bits that it gives with all dropouts off."""
    before = [run.digest for run in nothing.runs]
    if len(before) < len(alone.runs):  # those that are deterministic were not all run
        before = before[:1] * len(alone.runs)
    if any(run.digest != digest for run, digest in zip(alone.runs, before, strict=False)):
        return "adds"
    if share.p == 0:
        return "rate-zero"
    if not was_called:
        return "not-called"
    return "no-effect" if any(run.random for run in alone.runs) else "draws-nothing"
