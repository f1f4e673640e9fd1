"""A session in words: what ``make run`` prints where there is no display. Every figure comes from runs just made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelight import protocol as p
from modelight.phrases import findings as words
from modelight.present.history import RunHistory
from modelight.present.output import output_data
from modelight.session import Session
from modelight.widgets.numbers import count, figure, percent, shape
from modelight.widgets.output_data import OutputData

SIGNS = {"critical": "▲", "warning": "△", "info": "ⓘ", "solved": "✓"}


class Report:
    """Listens to a session and says, when asked, what the present state shows."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._history = RunHistory()
        self._same: p.SameAnswer | None = None
        self._findings: list[p.Finding] | None = None
        session.input_changed.connect(lambda _: self._history.clear())
        session.states_changed.connect(lambda _: self._history.flags_changed())
        session.cycle.restarted.connect(self._forget)
        session.cycle.frame.connect(self._history.add)
        session.cycle.same.connect(self._on_same)
        session.cycle.findings.connect(self._on_findings)

    def text(self, title: str) -> str:
        """The report, under ``title``."""
        parts = [[title, "─" * len(title)], self._state(), self._output(), self._layers(), self._found()]
        return "\n".join(line for part in parts for line in part) + "\n"

    def _forget(self) -> None:
        self._same, self._findings = None, None

    def _on_same(self, same: p.SameAnswer) -> None:
        self._same = same

    def _on_findings(self, findings: list[p.Finding] | None) -> None:
        self._findings = findings

    def _state(self) -> list[str]:
        model, setup, modes = self._session.model, self._session.setup, self._session.modes
        if model is None or setup is None:
            return ["No model is open."]
        checkpoint = f" with {Path(model.report.path).name}" if model.report is not None else ""
        batch = "one sample at a time" if setup.batch == 1 else f"{setup.batch} samples at a time"
        return [
            f"Model     {model.name}{checkpoint}: {modes.train} modules train, {modes.eval} eval",
            f"Run       {setup.grad_mode}, {batch}, seed {setup.seed}",
        ]

    def _output(self) -> list[str]:
        model, info = self._session.model, self._session.input
        data = output_data(self._history, info, None, self._same, model.classes) if model and info else None
        if data is None or info is None:
            return ["Output    nothing was run"]
        lines = [f"Output    {_bars(data, info)}"]
        if data.accuracy is not None:
            right, known = data.accuracy
            lines.append(f"          {right} of {known} labelled samples are right ({percent(right / known)})")
        return lines

    def _layers(self) -> list[str]:
        frame = self._history.newest
        if frame is None:
            return []
        active = [drop for drop in frame.dropouts if drop.active and drop.observed is not None]
        lines = [
            f"Dropout   {drop.path or 'the model'} dropped {percent(drop.observed or 0)} of {count(drop.total)}"
            + (f", nominal {percent(drop.p)}" if drop.p is not None else "")
            for drop in active[:8]
        ]
        batch = [norm.path for norm in frame.norms if norm.uses == "batch"]
        if batch:
            lines.append(f"Norms     {len(batch)} use this batch's statistics: {', '.join(batch[:8])}")
        ledger = frame.ledger
        moved = f"{ledger.parameters} parameters and {ledger.buffers} buffers"
        lines.append(
            f"Trace     {moved} " + ("were changed and kept" if ledger.kept else "would have changed; put back")
        )
        return lines

    def _found(self) -> list[str]:
        if self._findings is None:
            return ["Findings  nobody looked"]
        if not self._findings:
            return ["Findings  nothing remarkable in this state"]
        lines = []
        for finding in self._findings:
            lines.append(f"{SIGNS[finding.severity]} {finding.id}   {words.title(finding)}")
            lines += [f"          {line}" for line in words.body(finding).splitlines()]
        return lines


def _bars(data: OutputData, info: p.InputInfo) -> str:
    heights = data.bars.heights
    if data.view != "column" or not len(heights):
        return f"shape {shape(data.shape)}"
    name = f"class {data.choice.column}"
    if data.choice.column is not None and data.choice.column < len(data.class_names):
        name += f" ({data.class_names[data.choice.column]})"
    noise = sum(info.is_noise)
    of = f"{len(heights)} inputs" + (f", {noise} of them noise" if noise else "")
    low, high = float(np.min(heights)), float(np.max(heights))
    ends = f"{low:.2f} to {high:.2f}" if data.bounded else f"{figure(low)} to {figure(high)}"
    return f"{name} is {ends} for {of}"
