"""Many forwards of an input, observed, as one frame."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import msgspec
import torch
from torch import nn

from modelight import protocol
from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.modules import flag
from modelight.engine.modules.listen import flag_reads
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import fastpath, lazy, rng
from modelight.engine.observing.captures import module_captures
from modelight.engine.observing.drops import DropSites
from modelight.engine.observing.forward import Forward, Observer
from modelight.engine.observing.guard import Guard, leave_no_trace
from modelight.engine.observing.memory import Memory
from modelight.engine.observing.norms import NormRecorder
from modelight.engine.observing.outputs import Outputs
from modelight.engine.observing.probes import Capture
from modelight.engine.observing.summary import SAMPLE
from modelight.protocol import Clause

_TOGETHER = 8
"""Full samples that all forwards of a repeat may add up to, for one module."""


def run(
    model: nn.Module,
    inputs: Inputs,
    command: protocol.Run,
    *,
    rows: Rows,
    checkpoint: Mapping[str, torch.Tensor] | None = None,
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> protocol.Frame:
    """Run ``inputs`` as ``command`` says and summarise what happened. The model is left as it was, bit for bit.

    Args:
        checkpoint: what the checkpoint held, by buffer name; only for comparison.
        rows: the tree of ``model``.

    Raises:
        Cancelled: ``should_stop`` said so, noticed when a module was entered.
        EngineError: the model raised; ``kind`` is ``run`` or ``memory``, the model's exception is the cause.
    """
    notes = lazy.materialise(model, inputs, command)
    with forced(rows, command.force):
        session = _Session(model, inputs, command, rows, should_stop, progress)
        frame = session.run(checkpoint)
    return msgspec.structs.replace(frame, notes=notes + frame.notes)


@contextmanager
def forced(rows: Rows, training: bool | None) -> Iterator[None]:
    """All flags at one value for the length of a context; None leaves them alone."""
    if training is None:
        yield
        return
    modules = {id(module): module for module in rows.modules}.values()
    before = [(module, flag.read(module)) for module in modules]
    try:
        for module, was in before:
            if was is not None and was != training:
                flag.write(module, training)
        yield
    finally:
        for module, was in before:
            if was is not None and flag.read(module) != was:
                flag.write(module, was)


@dataclass
class _Session:
    """One run: its guard, its observer, and what the forwards add up to."""

    model: nn.Module
    inputs: Inputs
    command: protocol.Run
    rows: Rows
    should_stop: ShouldStop
    progress: ReportProgress
    seconds: list[float] = field(default_factory=list)
    drew: set[str] = field(default_factory=set)
    wrote_input: bool = False

    def run(self, checkpoint: Mapping[str, torch.Tensor] | None) -> protocol.Frame:
        command = self.command
        norms = NormRecorder(self.rows, exact=command.norm_statistics, detail=self._detail())
        sites = DropSites(self.rows)
        outputs = Outputs(command.repeats, self.inputs.samples)
        train, total = self._count_flags()
        last: Forward | None = None
        with leave_no_trace(self.model, keep=command.keep_updates, watch=False) as guard:
            observer = self._observer(guard.memory, norms)
            with flag_reads(self.rows) as heard, observer:
                for repeat in range(command.repeats):
                    last = self._repeat(observer, guard, sites, outputs, repeat)
            captures = observer.captures
        slow = self._second_look(captures, sites)
        return protocol.Frame(
            id=command.id,
            grad_mode=command.grad_mode,
            seed=command.seed,
            repeats=command.repeats,
            batch=command.batch,
            force=command.force,
            samples=self.inputs.samples,
            forwards=len(self.seconds) // max(1, command.repeats),
            train=train,
            eval=total - train,
            milliseconds=statistics.median(self.seconds) * 1e3 if self.seconds else 0.0,
            outputs=outputs.finish(),
            modules=module_captures(self.rows, captures),
            dropouts=sites.finish(),
            norms=norms.finish(checkpoint, captures),
            ledger=guard.ledger(),
            autograd=last.autograd if last is not None else protocol.Autograd(0, 0, 0, 0),
            random=bool(self.drew),
            notes=self._notes(slow),
            reads=[
                Clause("flag-read", {"path": read.path, "source": read.source, "count": read.count})
                for read in heard.reads
            ],
        )

    def _observer(self, memory: Memory, norms: NormRecorder | None) -> Observer:
        return Observer(
            self.rows,
            memory,
            mode=self.command.grad_mode,
            norms=norms,
            detail=self._detail(),
            sample_limit=self._sample_limit(),
            should_stop=self.should_stop,
        )

    def _detail(self) -> int:
        """The first row of the module that is looked at closely; −1 for none."""
        path = self.command.detail
        return self.rows.index_of(self.rows.modules[self.rows.by_path(path)]) if path else -1

    def _repeat(
        self, observer: Observer, guard: Guard, sites: DropSites, outputs: Outputs, repeat: int
    ) -> Forward | None:
        command = self.command
        if self.should_stop():
            raise Cancelled
        self.progress(Clause("running", {"repeat": repeat + 1, "repeats": command.repeats}), repeat / command.repeats)
        rng.seed(command.seed + repeat)
        observer.start(capturing=repeat == command.repeats - 1)
        sites.start()
        last = None
        for batch in self.inputs.batches(command.batch):
            last = observer.run(batch, partial(outputs.add, repeat=repeat, start=batch.start, stop=batch.stop))
            last.output = None
            sites.add(last.drops)
            guard.drew(last.drew)
            self.seconds.append(last.seconds)
            self.drew.update(last.drew)
            self.wrote_input |= last.wrote_input
        return last

    def _second_look(self, captures: dict[int, Capture], sites: DropSites) -> list[Clause]:
        """Capture what fused layers hid, in a run of its own; returns the note that says so."""
        look = fastpath.second_look(
            self.rows,
            captures,
            batches=lambda: self.inputs.batches(self.command.batch),
            observer=lambda memory: self._observer(memory, None),
            seed=lambda: rng.seed(self.command.seed + self.command.repeats - 1),
        )
        if look is None:
            return []
        captures.update(look.captures)
        for drops in look.drops:
            sites.add(drops)
        return [look.note]

    def _sample_limit(self) -> int:
        """Values per module and call: half a full sample where there are several forwards, which holds all that small
        layers put out, and fewer where there are so many that this would add up."""
        if not self.inputs.splittable:
            return SAMPLE
        forwards = -(-self.inputs.samples // max(1, self.command.batch))
        return SAMPLE if forwards <= 1 else max(256, min(SAMPLE // 2, _TOGETHER * SAMPLE // forwards))

    def _count_flags(self) -> tuple[int, int]:
        modules = {id(module): module for module in self.rows.modules}.values()
        flags = [value for value in map(flag.read, modules) if value is not None]
        return sum(flags), len(flags)

    def _notes(self, slow_path: list[Clause]) -> list[Clause]:
        return slow_path + ([Clause("input-overwritten")] if self.wrote_input else [])
