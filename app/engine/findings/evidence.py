"""What the rules look at: runs of one model in one state, each made when first asked for and then kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from modelight import protocol
from modelight.engine import experiments
from modelight.engine.batches import Inputs
from modelight.engine.errors import EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments.answers import Answers, Floats, answers, as_probabilities
from modelight.engine.experiments.parting import rounding
from modelight.engine.modules import flag, policy
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner
from modelight.protocol import AskFindings, Frame, InputInfo, LoadReport, NormCapture

SAMPLES = 32
"""Samples looked at, at most; the first ones."""
RUNS = 8
"""Repeats of a run in the present state, if there is time."""
BUDGET = 3.0
"""Seconds that the repeats of one run may take."""


@dataclass
class Evidence:
    """One model in one state, and how to find out more."""

    model: nn.Module
    inputs: Inputs
    info: InputInfo
    rows: Rows
    command: AskFindings
    checkpoint_buffers: dict[str, torch.Tensor] = field(default_factory=dict)
    should_stop: ShouldStop = never_stop
    progress: ReportProgress = no_progress
    loaded: LoadReport | None = None
    """How the checkpoint met the model, where that is to be told of."""

    def __post_init__(self) -> None:
        if self.inputs.splittable and self.inputs.samples > SAMPLES:
            part = self.inputs.part(0, SAMPLES)
            self.inputs = Inputs(part.args, part.kwargs, SAMPLES, True, self.inputs.labels[:SAMPLES])

    def afresh(self) -> Evidence:
        """The same with nothing run yet, for a state that has changed."""
        return replace(self)

    # ------------------------------------------------------------------------------------------------------- inputs

    @property
    def is_noise(self) -> list[bool]:
        return self.info.is_noise[: self.inputs.samples]

    @property
    def real(self) -> list[int]:
        """Positions of samples that are not noise."""
        return [index for index, noise in enumerate(self.is_noise) if not noise]

    # --------------------------------------------------------------------------------------------------------- runs

    @cached_property
    def problem(self) -> EngineError | None:
        """Why the model cannot run in its present state, if it cannot."""
        try:
            _ = self.first
        except EngineError as error:
            if error.kind == "cancelled":
                raise
            return error
        return None

    @cached_property
    def first(self) -> Frame:
        """One run in the present state."""
        return self._run(1)

    @cached_property
    def now(self) -> Frame:
        """Several runs in the present state."""
        return self._run(self.runs)

    @cached_property
    def evaluated(self) -> Frame:
        """Two runs with every flag in eval."""
        return self._run(2, force=False)

    @cached_property
    def runs(self) -> int:
        """How many repeats the budget allows: 2 to :data:`RUNS`."""
        affordable = _affordable(self.first)
        # The very first forward of a process is slow for reasons of its own: ask again before giving repeats up.
        return affordable if affordable == RUNS else _affordable(self._run(1))

    def _run(self, repeats: int, force: bool | None = None) -> Frame:
        command = protocol.Run(
            id=self.command.id,
            grad_mode=self.command.grad_mode,
            seed=self.command.seed,
            repeats=repeats,
            batch=self.command.batch,
            force=force,
        )
        return runner.run(
            self.model,
            self.inputs,
            command,
            rows=self.rows,
            checkpoint=self.checkpoint_buffers,
            should_stop=self.should_stop,
        )

    # ------------------------------------------------------------------------------------------------------ answers

    def answers(self, frame: Frame) -> Answers:
        """The first output of a frame, run again where it is too wide for the frame to hold it.

        Raises:
            EngineError: the model returned no tensor.
        """
        output = frame.outputs[0] if frame.outputs else None
        if output is not None and output.values is not None:
            return Answers(output.name, output.values.numpy().astype(np.float64), output.shape, output.per_sample)
        flags = None if frame.force is None else experiments.all_flags(self.rows, frame.force)
        return answers(self.trials, self.inputs, batch=frame.batch, seed=frame.seed, runs=frame.repeats, flags=flags)

    def read(self, frame: Frame) -> tuple[Floats, bool]:
        """Answers as class probabilities, runs × samples × width, and True; or as they are, and False."""
        found = self.answers(frame)
        scores = as_probabilities(found, self.info)
        return (found.values, False) if scores is None else (scores, True)

    @property
    def rounding(self) -> float:
        """Share of the answers' size that rounding may move them by."""
        dtype = getattr(torch, self.first.outputs[0].dtype, None) if self.first.outputs else None
        return rounding(dtype) if isinstance(dtype, torch.dtype) else 0.0

    @property
    def trials(self) -> experiments.Trials:
        return experiments.Trials(self.model, self.rows, self.command.grad_mode, self.should_stop)

    # ------------------------------------------------------------------------------------------------------- layers

    def training(self, row: int) -> bool:
        """The flag of a row; False where it has none."""
        return bool(flag.read(self.rows.modules[row]))

    @cached_property
    def batch_norms(self) -> list[NormCapture]:
        """Layers that ran in the present state and, because of their flag, used the batch or moved statistics."""
        return [
            norm
            for norm in self.first.norms
            if norm.batch_mean is not None and self.training(norm.row) and (norm.uses == "batch" or norm.updates)
            if policy.policy(self.rows.modules[norm.row], training=False) is not None
        ]

    def moved(self, frame: Frame, paths: set[str]) -> list[protocol.LedgerEntry]:
        """Buffers of the modules at ``paths`` that a run moved."""
        return [
            entry for entry in frame.ledger.entries if entry.kind == "buffer" and entry.name.rpartition(".")[0] in paths
        ]


def _affordable(frame: Frame) -> int:
    seconds = frame.milliseconds * frame.forwards / 1e3
    return int(np.clip(BUDGET / max(seconds, 1e-6), 2, RUNS))
