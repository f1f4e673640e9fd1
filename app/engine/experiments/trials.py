"""Single forwards under chosen flags, seed and grad mode, each of which leaves no trace: what every experiment is
made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelight.engine import catalog
from modelight.engine.batches import Batch
from modelight.engine.errors import Cancelled, EngineError, ShouldStop, never_stop
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import forward, outputs, rng
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.probes import Listeners, Probes
from modelight.engine.observing.summary import dense, is_readable
from modelight.protocol import GradMode

Flags = Mapping[str, bool]
"""Training flags by path, for the length of one forward; paths that are left out keep theirs."""

Heard = Callable[[int, nn.Module, Any, Any], None]
"""Called after each module's forward with its first row, itself, its positional arguments and what it returned."""


@dataclass
class Trials:
    """A model and how to run it. Every forward starts from the same parameters, buffers and flags."""

    model: nn.Module
    rows: Rows
    grad_mode: GradMode = "no_grad"
    should_stop: ShouldStop = never_stop
    seconds: float = 0.0
    """How long the last forward took, guard included."""

    def forward(
        self,
        batch: Batch,
        *,
        seed: int,
        flags: Flags | None = None,
        heard: Heard | None = None,
        prepared: Callable[[], object] = lambda: None,
    ) -> list[tuple[str, torch.Tensor]]:
        """The real tensors that the model returns for ``batch``, by name as in a frame, detached copies on the CPU.

        ``heard`` is called after every call of every module of the tree, in the order in which the calls end;
        ``prepared`` between the seeding and the forward, where all that it changes is put back.

        Raises:
            Cancelled: ``should_stop`` said so, at any module.
            EngineError: the model raised; its exception is the cause, ``module`` the innermost that was running.
        """
        if self.should_stop():
            raise Cancelled
        probes = Probes(self.rows, should_stop=self.should_stop, listeners=Listeners(left=self._listeners(heard)))
        probes.capturing = False
        started = time.perf_counter()
        with leave_no_trace(self.model):
            _write(self.rows, flags or {})
            rng.seed(seed)
            prepared()
            with forward.grad_mode(self.grad_mode), probes:
                output = self._call(batch, probes)
            named = [(name, tensor.detach().cpu().clone()) for name, tensor in readable(output)]
        self.seconds = time.perf_counter() - started
        return named

    def _call(self, batch: Batch, probes: Probes) -> Any:
        try:
            return self.model(*batch.args, **batch.kwargs)
        except EngineError:
            raise
        except (Exception, SystemExit) as error:
            module = probes.failed[1] if probes.failed is not None else None
            raise EngineError(f"{type(error).__name__}: {error}", kind="run", module=module) from error

    def _listeners(self, heard: Heard | None) -> list[Callable[[int, nn.Module, tuple[Any, ...], Any, int], None]]:
        if heard is None:
            return []

        def left(row: int, module: nn.Module, args: tuple[Any, ...], output: Any, known: int) -> None:
            if row >= 0:
                heard(row, module, args, output)

        return [left]


def readable(output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a returned value that hold real numbers, by name; sparse ones made dense."""
    for name, tensor in outputs.fields(output):
        plain = dense(tensor)
        if is_readable(plain) and plain.numel():
            yield name, plain


def _write(rows: Rows, flags: Flags) -> None:
    for path, training in flags.items():
        flag.write(rows.modules[rows.by_path(path)], training)


def all_flags(rows: Rows, training: bool) -> dict[str, bool]:
    """Every module that has a flag, in one mode."""
    return {
        path: training for path, module in zip(rows.paths, rows.modules, strict=True) if flag.read(module) is not None
    }


_RANDOM = ("dropout", "functional_dropout", "drop_path", "rnn_dropout", "attention", "rrelu")
"""Kinds of the catalogue that draw in train. Not the transformer layer: its own flag decides only about a fused path,
which in eval would keep its children silent."""


def quiet(rows: Rows, flags: Flags) -> dict[str, bool]:
    """``flags`` with eval for everything that would draw at random because of its own flag."""
    random = {
        rows.paths[index]: False
        for index, module in enumerate(rows.modules)
        if rows.paths[index] in flags and catalog.describe(module, 0).kind in _RANDOM
    }
    return {**flags, **random}
