"""Whole runs of an input with nobody listening: no hook, no observer, so that time and bits are the model's own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import Cancelled, EngineError, ShouldStop, never_stop
from modelight.engine.experiments.answers import first_output, rows_of
from modelight.engine.experiments.trials import readable
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import rng
from modelight.engine.observing.autograd import SavedTensors
from modelight.engine.observing.forward import grad_mode
from modelight.engine.observing.guard import Guard, leave_no_trace
from modelight.engine.observing.memory import Memory
from modelight.engine.observing.outputs import fields
from modelight.engine.observing.probes import Probes
from modelight.protocol import Clause, GradMode, plain

Kind = Literal["requires_grad", "plain", "inference"]
_LONGEST = 300
"""Characters of an exception's message that are passed on."""


@dataclass(frozen=True)
class State:
    """How to run: flags by path (paths left out keep theirs) and the grad mode."""

    flags: Mapping[str, bool]
    grad_mode: GradMode


@dataclass
class BareRun:
    """All samples once."""

    name: str = ""
    values: np.ndarray[Any, np.dtype[np.float32]] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """The first output: samples × width (forwards × width where it has no row per sample)."""
    shape: tuple[int, ...] = ()
    per_sample: bool = True
    floating: bool = True
    """Whether its dtype is a floating one: truths and indices are no scores."""
    kind: Kind = "plain"
    digest: bytes = b""
    """Of every bit of every tensor that came out, names, shapes and dtypes included."""
    seconds: list[float] = field(default_factory=list)
    """Of each forward."""
    drew: frozenset[str] = frozenset()
    """Names of the random generators that were drawn from, as in
    :meth:`~modelight.engine.observing.rng.RngState.moved`."""
    moved: frozenset[str] = frozenset()
    """Buffers that were changed, and have been put back."""
    watched: bool = False
    """Writes were watched for, which costs time."""

    @property
    def random(self) -> bool:
        """Something drew from a random generator."""
        return bool(self.drew)


@dataclass(frozen=True)
class Bench:
    """A model, and how to run an input through it without a trace."""

    model: nn.Module
    rows: Rows
    inputs: Inputs
    batch: int
    should_stop: ShouldStop = never_stop

    def run(self, state: State, seed: int, prepared: Callable[[], object] = lambda: None) -> BareRun:
        """All samples once, the generators seeded with ``seed`` before the first forward.

        ``prepared`` is called between the seeding and the first forward; all that it changes is put back.

        Raises:
            Cancelled: ``should_stop`` said so, asked before each forward.
            EngineError: the model returned no tensor, or another shape in each forward.
            Exception: whatever the model raises.
        """
        found, parts, digest = BareRun(), [], hashlib.blake2b(digest_size=16)
        with leave_no_trace(self.model) as guard:
            found.watched = guard.memory.waits_for_writes
            write(self.rows, state.flags)
            rng.seed(seed)
            prepared()
            before = rng.RngState.now()
            for batch in self.inputs.batches(self.batch):
                parts.append(self._forward(batch, state.grad_mode, found, digest))
            guard.drew(before.moved())
        if len({part.shape[1:] for part in parts}) > 1:
            raise EngineError("The output has another shape each time.", kind="run", clause=Clause("shape-varies"))
        found.values = np.concatenate(parts)
        found.digest = digest.digest()
        _read_ledger(guard, found)
        return found

    def repeat(self, state: State, seed: int, runs: int) -> list[BareRun]:
        """``runs`` runs, seeded ``seed``, ``seed`` + 1 …; two where these drew nothing and gave the same bits: the
        others would too, and are spared.

        Raises:
            Exception: as :meth:`run`.
        """
        found: list[BareRun] = []
        for run in range(runs):
            found.append(self.run(state, seed + run))
            if run == 1 and not any(one.random for one in found) and found[0].digest == found[1].digest:
                break
        return found

    def _forward(
        self, batch: Batch, mode: GradMode, found: BareRun, digest: hashlib.blake2b
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        if self.should_stop():
            raise Cancelled
        with untouched(batch):
            output, seconds = _timed(self.model, batch, mode)
            found.seconds.append(seconds)
            with torch.inference_mode(False), torch.no_grad():
                named = list(readable(output))
                found.name, tensor = first_output(named)
                found.kind, found.floating = _kind(tensor), tensor.is_floating_point()
                found.shape = found.shape or tuple(tensor.shape)
                values, own = rows_of(tensor.detach().cpu(), batch.stop - batch.start)
                found.per_sample &= own
                for name, each in named:
                    _update(digest, name, each)
                return values.copy()  # it may look into an input that is about to be put back

    def kept(self, state: State, seed: int) -> int:
        """Bytes of activations that autograd keeps after the first forward.

        Raises:
            Exception: whatever the model raises.
        """
        batch = next(iter(self.inputs.batches(self.batch)))
        saved = SavedTensors(
            list(self.model.parameters()), [tensor for _, tensor in fields((batch.args, batch.kwargs))]
        )
        with leave_no_trace(self.model), untouched(batch):
            write(self.rows, state.flags)
            rng.seed(seed)
            with grad_mode(state.grad_mode), saved:
                output = self.model(*batch.args, **batch.kwargs)
            kept = saved.result().kept  # while the output, and so the graph, still lives
            del output
        return kept

    def where(self, state: State, seed: int) -> str:
        """The path of the innermost module that raises in this state; "" where it is the model itself, or where the
        model does not raise again."""
        probes = Probes(self.rows, should_stop=self.should_stop)
        probes.capturing = False
        with leave_no_trace(self.model):
            write(self.rows, state.flags)
            rng.seed(seed)
            try:
                with grad_mode(state.grad_mode), probes:
                    for batch in self.inputs.batches(self.batch):
                        with untouched(batch):
                            self.model(*batch.args, **batch.kwargs)
            except Cancelled:
                raise
            except (Exception, SystemExit):
                return (probes.failed[1] if probes.failed is not None else None) or ""
        return ""

    def problem(self, error: BaseException, state: State, seed: int) -> Clause:
        """What to say of ``error``, raised in this state.

        Raises:
            Cancelled: the person asked to stop.
        """
        if isinstance(error, Cancelled):
            raise error
        if isinstance(error, EngineError) and error.clause is not None:
            return error.clause
        text = plain(f"{type(error).__name__}: {error}")
        text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
        path = self.where(state, seed)
        return Clause("raises-in", {"module": path, "error": text}) if path else Clause("raises", {"error": text})


@contextmanager
def untouched(batch: Batch) -> Iterator[None]:
    """Put inputs back that the model writes to."""
    memory = Memory()
    held = [memory.add(tensor) for _, tensor in fields((batch.args, batch.kwargs))]
    try:
        yield
    finally:
        for entry in held:
            if entry.changed:
                entry.restore()


def write(rows: Rows, flags: Mapping[str, bool]) -> None:
    """Write training flags by path; inside a guard, which puts them back."""
    for path, training in flags.items():
        flag.write(rows.modules[rows.by_path(path)], training)


def _timed(model: nn.Module, batch: Batch, mode: GradMode) -> tuple[Any, float]:
    with grad_mode(mode):
        wait(model)
        began = time.perf_counter()
        output = model(*batch.args, **batch.kwargs)
        wait(model)
        return output, time.perf_counter() - began


def wait(model: nn.Module) -> None:
    """Accelerators work on after the call has returned."""
    first = next(model.parameters(), None)
    if first is not None and first.device.type not in ("cpu", "meta"):
        torch.accelerator.synchronize(first.device)


def _kind(tensor: torch.Tensor) -> Kind:
    if tensor.is_inference():
        return "inference"
    return "requires_grad" if tensor.requires_grad else "plain"


def _update(digest: hashlib.blake2b, name: str, tensor: torch.Tensor) -> None:
    digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode("utf-8", "backslashreplace"))
    flat = tensor.detach().cpu().resolve_neg().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")


def _read_ledger(guard: Guard, found: BareRun) -> None:
    entries = guard.ledger().entries
    found.drew = frozenset(entry.name for entry in entries if entry.kind == "rng")
    found.moved = frozenset(entry.name for entry in entries if entry.kind == "buffer")
