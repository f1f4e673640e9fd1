"""``modelight check``: the findings of a model as its own code hands it over, as text and as JSON, without a window."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelight.engine import findings
from modelight.engine.batches import Inputs
from modelight.engine.errors import EngineError
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from modelight.phrases import phrase
from modelight.protocol import (
    AskFindings,
    Clause,
    Example,
    Finding,
    GradMode,
    InputInfo,
    InputTensor,
    LoadReport,
    Noise,
    Remedy,
)

CLEAN, FOUND = 0, 1
_GRAVE = ("critical", "warning")
_RULES = {rule.id: rule for rule in findings.RULES}
_NAMES = {rule.id: rule.name for rule in findings.RULES}


@dataclass(frozen=True)
class Checked:
    """One finding, and whether its remedy, tried, cures it."""

    finding: Finding
    cured: bool | None
    """None where there is nothing to try."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found. ``status`` is the exit status: 0 clean, 1 something of severity warning or worse."""

    model: str
    train: int
    """Modules in train mode, of those that have a flag; each counted once."""
    eval: int
    input: str
    """What the model was run on, in words."""
    opened: bool
    """Whether the modes are those in which the model's own code handed it over; else whoever called set them."""
    loaded: LoadReport | None = None
    checked: list[Checked] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Ids that were found and waived."""

    @property
    def findings(self) -> list[Finding]:
        return [one.finding for one in self.checked]

    @property
    def status(self) -> int:
        return FOUND if any(finding.severity in _GRAVE for finding in self.findings) else CLEAN

    def head(self) -> list[str]:
        """What was checked: which model, in which modes, on which input."""
        modes = "as its own code hands it over" if self.opened else "as it is now"
        return [
            f"{self.model}: {self.train} {'module' if self.train == 1 else 'modules'} in train, {self.eval} in eval, "
            f"{modes}.",
            f"Run on {self.input}.",
            *([] if self.loaded is None else _loaded(self.loaded)),
        ]

    def text(self) -> str:
        """For a person."""
        lines = self.head()
        for one in self.checked:
            lines += ["", *_text(one)]
        if self.allowed:
            lines += ["", f"Found and allowed: {', '.join(self.allowed)}."]
        return "\n".join([*lines, "", self._summary()])

    def _summary(self) -> str:
        counts = [
            (sum(finding.severity == severity for finding in self.findings), one, many)
            for severity, one, many in (
                ("critical", "critical", "critical"),
                ("warning", "warning", "warnings"),
                ("info", "for information", "for information"),
            )
        ]
        said = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
        return f"Findings: {', '.join(said)}." if said else "Nothing remarkable."

    def json(self) -> str:
        """For a program: one object. What was allowed is not in it."""
        return json.dumps(
            {
                "model": self.model,
                "modes": {"train": self.train, "eval": self.eval},
                "findings": [_json(one) for one in self.checked],
            },
            indent=2,
            ensure_ascii=False,
        )


def report(
    model: nn.Module,
    inputs: Inputs,
    info: InputInfo,
    *,
    name: str,
    checkpoint_buffers: dict[str, torch.Tensor] | None = None,
    grad_mode: GradMode = "no_grad",
    batch: int = 1,
    seed: int = 0,
    allow: Sequence[str] = (),
    opened: bool = True,
    loaded: LoadReport | None = None,
) -> CheckReport:
    """Look at ``model`` in its present state, run on ``inputs``, ``batch`` samples per forward, and try every cure.

    The model is left as it was.

    Raises:
        EngineError: the model cannot run as it is, for a reason that no finding explains.
    """
    rows = Rows(model)
    command = AskFindings(id=0, grad_mode=grad_mode, seed=seed, batch=batch)
    evidence = findings.Evidence(model, inputs, info, rows, command, checkpoint_buffers or {}, loaded=loaded)
    found = findings.judge(evidence)
    if evidence.problem is not None and not any(finding.severity == "critical" for finding in found):
        raise evidence.problem
    kept = [finding for finding in found if finding.id not in allow]
    flags = [flag.read(module) for module in {id(module): module for module in rows.modules}.values()]
    return CheckReport(
        model=name,
        train=sum(value is True for value in flags),
        eval=sum(value is False for value in flags),
        input=_describe(info, batch, grad_mode, seed),
        opened=opened,
        loaded=loaded,
        checked=[Checked(finding, _try(finding, evidence)) for finding in kept],
        allowed=sorted({finding.id for finding in found} & set(allow)),
    )


def check(
    model: nn.Module,
    *inputs: Any,
    grad_mode: GradMode = "no_grad",
    batch: int = 1,
    seed: int = 0,
    allow: Sequence[str] = (),
    labels: Sequence[int] = (),
    **named: Any,
) -> CheckReport:
    """Check ``model`` in the modes it is in now, on real samples joined along the first dimension of each tensor.

    Args:
        inputs: positional arguments of ``forward``; ``named`` are its keyword arguments.
        batch: samples per forward. At 1 each is run alone, which is where train mode does most harm.
        allow: ids of findings that are wanted.
        labels: known class indices, one per sample.

    Tensors that differ in their first dimension, and inputs that are no tensors, are one whole: they are never cut into
    samples, and nothing that takes several samples is looked for.

    Raises:
        EngineError: the model cannot run on these inputs, for a reason that no finding explains; or labels that do not
            fit.
    """
    tensors = {f"[{index}]": value for index, value in enumerate(inputs)} | named
    sized = {name: value for name, value in tensors.items() if isinstance(value, torch.Tensor) and value.dim()}
    counts = {value.shape[0] for value in sized.values()}
    samples = counts.pop() if len(counts) == 1 else 1
    known = _labels(labels, samples)
    whole = Inputs(inputs, named, samples, splittable=bool(sized) and not counts, labels=tuple(known))
    info = InputInfo(
        sources=[],
        tensors=[InputTensor(name, tuple(value.shape), str(value.dtype)[6:]) for name, value in sized.items()],
        samples=samples,
        captions=[str(index) for index in range(samples)],
        is_noise=[False] * samples,
        labels=known,
        classes=[],
        splittable=whole.splittable,
    )
    return report(
        model,
        whole,
        info,
        name=type(model).__name__,
        grad_mode=grad_mode,
        batch=batch,
        seed=seed,
        allow=allow,
        opened=False,
    )


def _labels(labels: Sequence[int], samples: int) -> list[int | None]:
    known: list[int | None] = [int(label) for label in labels]
    if known and len(known) != samples:
        raise EngineError(f"There are {len(known)} labels for {samples} samples: give one each.", kind="input")
    return known or [None] * samples


# ------------------------------------------------------------------------------------------------------------ the cure


def _try(finding: Finding, evidence: findings.Evidence) -> bool | None:
    """Apply the first remedy that sets modes, look again with the same rule, and put the modes back."""
    remedy = next((remedy for remedy in finding.remedies if remedy.training is not None), None)
    rule = _RULES.get(finding.id)
    if remedy is None or rule is None:
        return None
    with _applied(remedy, evidence.rows):
        again = findings.judge(evidence.afresh(), rules=[rule])
    return all((other.id, other.module) != (finding.id, finding.module) for other in again)


@contextmanager
def _applied(remedy: Remedy, rows: Rows) -> Iterator[None]:
    """The remedy's modes, on each of its modules and all below, for the length of a context."""
    touched = [rows.modules[row] for path in remedy.paths for row in rows.below(rows.by_path(path))]
    before = [(module, flag.read(module)) for module in touched]
    try:
        for module in touched:
            flag.write(module, bool(remedy.training))
        yield
    finally:
        for module, was in before:
            if was is not None:
                flag.write(module, was)


# ------------------------------------------------------------------------------------------------------------ the words


def _describe(info: InputInfo, batch: int, grad_mode: GradMode, seed: int) -> str:
    noise = sum(info.is_noise)
    kinds = {type(source) for source in info.sources}
    what = "samples"
    if kinds == {Example}:
        what = "samples of its example_input()"
    elif kinds == {Noise} or noise == info.samples:
        what = "samples of noise, for want of an example"
    elif noise:
        what = f"samples, {noise} of them noise"
    if not info.splittable:
        return f"its input as one whole, under {grad_mode}, seed {seed}"
    each = "one at a time" if batch == 1 else f"{batch} at a time"
    return f"{info.samples} {what}, {each}, under {grad_mode}, seed {seed}"


def _loaded(report: LoadReport) -> list[str]:
    """What there is to say of how the checkpoint was loaded, beside what it left out, which is a finding."""
    said = f"{report.loaded} tensors were loaded from {Path(report.path).name}"
    if report.unexpected:
        shown = ", ".join(report.unexpected[:3]) + (", …" if len(report.unexpected) > 3 else "")
        others = "another" if len(report.unexpected) == 1 else f"{len(report.unexpected)} others"
        said += f"; the model does not know {others} in it ({shown})"
    return [f"{said}.", *(phrase(note) for note in report.notes)]


def _text(one: Checked) -> list[str]:
    finding = one.finding
    place = "" if finding.module is None else f" at {finding.module or 'the root'}"
    head = f"{finding.severity.upper()} {finding.id} {_NAMES.get(finding.id, '')}".rstrip() + place
    told = f"{words.title(finding)}\n{words.body(finding)}"
    lines = [head, *(f"  {line}" for line in told.splitlines())]
    remedy = next(iter(finding.remedies), None)
    if remedy is not None:
        lines += ["  Cure:", *(f"      {line}" for line in remedy.python)]
    if one.cured is not None:
        lines.append(f"  {phrase(Clause('remedy.verified' if one.cured else 'remedy.failed'))}")
    return lines


def _json(one: Checked) -> dict[str, Any]:
    finding = one.finding
    remedy = next(iter(finding.remedies), None)
    evidence = {name: _plain(value) for name, value in finding.values.items() if name not in ("say", "title")}
    return {
        "id": finding.id,
        "severity": finding.severity,
        "module": finding.module,
        "message": f"{words.title(finding)}: {words.body(finding)}".replace("\n", " "),
        "evidence": evidence,
        "remedy": None
        if remedy is None
        else {"id": remedy.id, "paths": remedy.paths, "python": remedy.python, "verified": one.cured},
    }


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
