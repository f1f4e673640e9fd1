"""Repeatability: is the same input answered the same again, and which random generator decides?

Each generator alone is seeded otherwise, all others as before: where the output then differs, that generator is a
source of it. What differs with all of them equal is no generator's that can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments import culprits, measure
from modelight.engine.experiments.bare import BareRun, Bench, State
from modelight.engine.experiments.parting import Call, identical, listen, parting
from modelight.engine.experiments.trials import Trials
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy, rng
from modelight.protocol import Array, Clause, GradMode, InputInfo, Measure, RandomSource, Repeatability

Prepare = Callable[[], object]
Seeder = Callable[[int], object]

SOURCE_SEEDS = 4
"""Seeds that each generator is given alone."""


@dataclass
class _Series:
    """Runs that are compared with the first of them."""

    runs: list[BareRun]
    exact: bool
    """All the same, bit for bit."""
    first: int | None = None
    """Where they part first: a position in the calls of the first run."""


class _Experiment:
    """One forward in the present state, again and again."""

    def __init__(self, trials: Trials, inputs: Inputs, seed: int) -> None:
        self.trials, self.seed = trials, seed
        self.bench = Bench(trials.model, trials.rows, inputs, inputs.samples, trials.should_stop)
        self._batch = inputs.part(0, inputs.samples)
        self.reading: Measure = "raw"
        self.calls: list[Call] = self._listen(seed, _nothing)

    def series(self, ways: Sequence[tuple[int, Prepare]]) -> _Series:
        """Run with these seeds and preparations; the first way is what :attr:`calls` were heard in."""
        runs = [self.bench.run(State({}, self.trials.grad_mode), seed, prepared) for seed, prepared in ways]
        exact = len({run.digest for run in runs}) == 1
        return _Series(runs, exact, None if exact else self._first(ways[1 : 1 + SOURCE_SEEDS]))

    def _first(self, ways: Sequence[tuple[int, Prepare]]) -> int | None:
        found = (parting(self.calls, self._listen(seed, prepared), identical) for seed, prepared in ways)
        return min((position for position in found if position is not None), default=None)

    def _listen(self, seed: int, prepared: Prepare) -> list[Call]:
        return listen(self.trials, self._batch, seed, prepared=prepared)

    def apart(self, series: _Series) -> list[float]:
        """How far each run lies from the first."""
        values = measure.read(culprits.stack(series.runs), self.reading)
        same = [run.digest == series.runs[0].digest for run in series.runs]
        pairs = zip(values[1:], same[1:], strict=True)
        return [0.0 if equal else measure.apart(each, values[0], self.reading) or 0.0 for each, equal in pairs]

    def answers(self, runs: Sequence[BareRun]) -> Array:
        """The first sample's, runs × width."""
        return Array.of(measure.read(culprits.stack(runs), self.reading)[:, 0].astype(np.float32))

    def name(self, position: int | None) -> tuple[str | None, str]:
        """Path and class of the module of a call."""
        if position is None:
            return None, ""
        row = self.calls[position].row
        return self.trials.rows.paths[row], type(self.trials.rows.modules[row]).__name__


def _nothing() -> None:
    """Prepares nothing."""


def repeatability(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    *,
    seed: int,
    batch: int = 1,
    runs: int = 8,
    grad_mode: GradMode = "no_grad",
    info: InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> Repeatability:
    """Run the first ``batch`` samples as one forward in the present state, again and again.

    Each run starts from the same parameters, buffers, flags and own generators. ``runs`` runs with ``seed``, as many
    with ``seed``, ``seed`` + 1 …, and :data:`SOURCE_SEEDS` for each generator.

    Args:
        info, classes: what is known of the input and the classes; decides how the output is read.

    Raises:
        EngineError: the model raised, returned no tensor, or another shape each time.
        Cancelled: ``should_stop`` said so.
    """
    samples, runs = max(1, min(batch, inputs.samples)) if inputs.splittable else 1, max(2, runs)
    part = inputs.part(0, samples)
    lazy.materialise_with(model, part, seed)
    progress(Clause("repeating-same"), 0.0)
    fed = Inputs(part.args, part.kwargs, samples, inputs.splittable)
    experiment = _Experiment(Trials(model, rows, grad_mode, should_stop), fed, seed)
    same = experiment.series([(seed, _nothing)] * runs)
    progress(Clause("repeating-other"), 0.3)
    other = experiment.series([(seed + run, _nothing) for run in range(runs)])
    seen = same.runs[0]
    experiment.reading = measure.choose(
        culprits.stack([*same.runs, *other.runs]),
        name=seen.name,
        shape=seen.shape,
        per_sample=seen.per_sample,
        info=info,
        classes=classes,
    )
    return _reply(experiment, same, other, list(_sources(experiment, same, progress)))


def _reply(experiment: _Experiment, same: _Series, other: _Series, sources: list[RandomSource]) -> Repeatability:
    seen = same.runs[0]
    same_first, same_type = experiment.name(same.first)
    other_first, other_type = experiment.name(other.first)
    return Repeatability(
        seed=experiment.seed,
        runs=len(same.runs),
        grad_mode=experiment.trials.grad_mode,
        samples=experiment.bench.batch,
        field=seen.name,
        shape=seen.shape,
        per_sample=seen.per_sample,
        measure=experiment.reading,
        same=experiment.answers(same.runs),
        other=experiment.answers(other.runs),
        same_exact=same.exact,
        same_apart=max(experiment.apart(same)),
        same_first=same_first,
        same_type=same_type,
        other_exact=other.exact,
        other_apart=float(np.mean(experiment.apart(other))),
        other_first=other_first,
        other_type=other_type,
        sources=sources,
    )


# -------------------------------------------------------------------------------------------------------- the sources


def _sources(experiment: _Experiment, same: _Series, progress: ReportProgress) -> Iterator[RandomSource]:
    """Every generator, alone seeded otherwise."""
    owned = rng.OwnedGenerators(iter(experiment.trials.model.named_modules())).seeders()
    generators = {**rng.SEEDERS, **owned}
    for step, (name, seeder) in enumerate(generators.items()):
        progress(Clause("reseeding", {"name": name}), 0.5 + 0.5 * step / len(generators))
        yield _source(experiment, same, name, seeder, owned=name in owned)


def _source(experiment: _Experiment, same: _Series, name: str, seeder: Seeder, *, owned: bool) -> RandomSource:
    seed = experiment.seed
    ways = [(seed, _reseeding(seeder, seed + number)) for number in range(1, SOURCE_SEEDS + 1)]
    series = experiment.series([(seed, _nothing), *ways])
    drew = {one for run in same.runs for one in run.drew}
    matters = _matters(series, same)
    path, kind = experiment.name(series.first if matters else None)
    return RandomSource(
        name=name,
        owned=owned,
        # torch's generators of accelerators are named cuda:0 …
        drew=name in drew or (name == "torch" and any(":" in one for one in drew)),
        matters=matters,
        apart=float(np.mean(experiment.apart(series))),
        first=path,
        type=kind,
        values=experiment.answers(series.runs[1:]),
    )


def _reseeding(seeder: Seeder, value: int) -> Prepare:
    return lambda: seeder(value)


def _matters(series: _Series, same: _Series) -> bool | None:
    """Where equal seeds give different answers, only a difference that comes before those is the generator's."""
    if same.exact:
        return not series.exact
    if series.first is not None and same.first is not None and series.first < same.first:
        return True
    return None
