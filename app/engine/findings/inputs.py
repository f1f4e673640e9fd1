"""ML101: does the output depend on the input at all?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelight import protocol
from modelight.engine import experiments
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments.answers import Floats, softmax
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import set_eval
from modelight.protocol import Curve, Finding, Remedy, Value

STILL = 0.1
"""Answers ignore the input where real inputs move them less than this share of what they do in eval."""
HARDLY = 0.05
"""… and less than this share of the answers' own size: eval may just exaggerate."""
DEAD = 1e-3
"""Deviation over inputs, relative to the answers' size, below which eval does not move either: nothing was lost."""
CULPRITS = 8
"""Norm layers flipped one by one, at most: the last ones before the inputs stop differing."""
RECOVERED = 0.25
"""A layer is named as the cause if it alone, flipped, brings back this share of the spread in eval."""


def _between(values: Floats) -> float:
    """Deviation over samples of the mean over runs, averaged over columns.

    What is left of the runs' own randomness counts as a difference of inputs: a noisy model is not called deaf.
    """
    return float(values.mean(axis=0).std(axis=0).mean())


def _is_deaf(now: Floats, flipped: Floats) -> bool:
    """Whether samples hardly differ now and do differ in eval; runs × samples × width."""
    if not np.isfinite(now).all() or not np.isfinite(flipped).all():
        return False
    here, there = _between(now), _between(flipped)
    return there > DEAD * _size(flipped) and here < STILL * there and here < HARDLY * _size(now)


def _size(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))


def ignores_input(evidence: Evidence) -> Iterator[Finding]:
    """The present state hardly tells real inputs apart, while the same weights in eval do. Both were run."""
    real = evidence.real
    if len(real) < 2 or not evidence.inputs.splittable or evidence.first.train == 0:
        return
    now, probable = evidence.read(evidence.now)
    flipped, same_reading = evidence.read(evidence.evaluated)
    if now.shape[1:] != flipped.shape[1:] or now.shape[1] != evidence.inputs.samples or same_reading != probable:
        return
    if not _is_deaf(now[:, real], flipped[:, real]):
        return
    curve = experiments.spread_curve(
        evidence.model,
        evidence.inputs,
        evidence.rows,
        grad_mode=evidence.command.grad_mode,
        seed=evidence.command.seed,
        samples=real,
        should_stop=evidence.should_stop,
    )
    culprit, share = _culprit(evidence, curve, probable)
    yield _finding(evidence, now, flipped, probable, curve, culprit, share)


def _culprit(evidence: Evidence, curve: Curve | None, probable: bool) -> tuple[str | None, float]:
    """The norm layer that, alone in eval, brings most of the difference to eval back, and how much of it."""
    candidates = _upstream(evidence, curve)
    if not candidates:
        return None, 0.0
    real = evidence.real
    try:
        found = experiments.flips(
            evidence.model,
            evidence.inputs,
            evidence.rows,
            grad_mode=evidence.command.grad_mode,
            seed=evidence.command.seed,
            batch=evidence.command.batch,
            runs=2,
            candidates=candidates,
            read=lambda values: (softmax(values) if probable else values)[:, real],
            should_stop=evidence.should_stop,
            progress=evidence.progress,
        )
    except Cancelled:
        raise
    except EngineError:
        return None, 0.0
    first = found.ranking[0]
    if first.spread < RECOVERED * found.eval_spread or found.whole == 0:
        return None, 0.0
    return first.path, min(1.0, first.alone / found.whole)


def _upstream(evidence: Evidence, curve: Curve | None) -> list[int]:
    """Norm layers that used the batch and ran before the inputs stopped differing, in order."""
    norms = [norm.row for norm in evidence.batch_norms]
    if curve is not None and curve.collapse is not None:
        norms = [row for row in curve.rows[: curve.collapse + 1] if row in norms]
    return norms[-CULPRITS:]


def _finding(
    evidence: Evidence,
    now: Floats,
    flipped: Floats,
    probable: bool,
    curve: Curve | None,
    culprit: str | None,
    share: float,
) -> Finding:
    column = 0 if probable and now.shape[-1] == 2 else int(flipped.mean(axis=0).std(axis=0).argmax())
    noise = sum(evidence.is_noise)
    shown, after = now[..., column], flipped[:, evidence.real, column]
    collapse = None
    if curve is not None and curve.collapse is not None:
        collapse = evidence.rows.paths[curve.rows[curve.collapse]]
    values: dict[str, protocol.Value] = {
        "inputs": now.shape[1],
        "noise": noise,
        "runs": now.shape[0],
        "batch": evidence.command.batch,
        "column": column,
        "reading": "probability" if probable else "value",
        "mean": float(shown.mean()),
        "std": float(shown.std()),
        "eval_low": float(after.min()),
        "eval_high": float(after.max()),
        "collapse": collapse,
        "culprit": culprit,
        "culprit_share": round(share, 2) if culprit is not None else None,
    }
    values["say"] = _lines(values)
    remedies: list[Remedy] = [set_eval(evidence.rows, [""])]
    if culprit is not None and share >= 0.5:
        remedies.append(set_eval(evidence.rows, [culprit]))
    return Finding("ML101", "critical", collapse if collapse is not None else culprit, values, curve, remedies)


def _lines(values: dict[str, Value]) -> list[str | float]:
    reading = values["reading"]
    said: list[str | float] = [f"ML101.now.{reading}.noise" if values["noise"] else f"ML101.now.{reading}"]
    if values["collapse"] is not None:
        by = "" if values["culprit"] is None else ".alone" if values["batch"] == 1 else ".batch"
        said.append(f"ML101.collapse{by}")
    if values["culprit"] is not None:
        said.append("ML101.culprit")
    return [*said, f"ML101.flip.{reading}"]
