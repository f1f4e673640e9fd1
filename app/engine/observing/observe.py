"""``observe``: one forward of a model, watched, for notebooks and tests. The window's runs use the same parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelight import protocol
from modelight.engine.batches import Batch
from modelight.engine.modules.listen import FlagRead, flag_reads
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import fastpath, lazy, rng
from modelight.engine.observing.captures import module_captures
from modelight.engine.observing.forward import Observer, detach_from
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.masks import Drop
from modelight.engine.observing.norms import NormRecorder
from modelight.engine.observing.probes import Capture
from modelight.protocol import Clause, GradMode


@dataclass(frozen=True)
class Dropout:
    """One call that dropped values, or could have."""

    path: str
    source: str | None
    """``file:line`` of the call outside torch."""
    function: str
    call: int
    unit: str
    p: float | None
    follows_flag: bool | None
    active: bool
    observed: float | None
    dropped: torch.Tensor | None
    """Bool, shaped as the layer's input, True where dropped; None where it was not seen (see ``unseen``)."""
    already_zero: int | None = None
    """How many values were zero before: these a comparison of input and output would miscount."""
    alpha: bool = False
    """Dropped values become a negative constant (zero only at p = 1)."""
    unseen: Clause | None = None


@dataclass(frozen=True)
class Module:
    """What one module did."""

    called: int
    stats: protocol.Stats | None
    shape: tuple[int, ...]
    dtype: str
    effect: list[Clause]
    """What it does in its present mode."""
    unseen: Clause | None = None


@dataclass(frozen=True)
class Observation:
    """One observed forward."""

    output: Any
    modules: dict[str, Module]
    """By path; the root's is the empty string."""
    dropouts: list[Dropout]
    norms: dict[str, protocol.NormCapture]
    ledger: protocol.Ledger
    autograd: protocol.Autograd
    flag_reads: list[FlagRead]
    random: bool
    notes: list[Clause]


def observe(
    model: nn.Module, *args: Any, seed: int | None = None, grad_mode: GradMode = "no_grad", **kwargs: Any
) -> Observation:
    """Run ``model(*args, **kwargs)`` once, in its present mode, and say what happened. The model is left as it was.

    Args:
        seed: seeds torch, numpy and Python's random for this forward; None draws from the generators as they are.
            Either way they are put back afterwards.
        grad_mode: entered for the forward.

    Raises:
        EngineError: the model raised; its exception is the cause, ``module`` the path of the innermost running module.
    """
    batch = Batch(args, kwargs, 0, 1)
    notes = lazy.materialise_with(model, batch, seed)
    rows = Rows(model)
    norms = NormRecorder(rows)
    with leave_no_trace(model, watch=False) as guard:
        if seed is not None:
            rng.seed(seed)
        with flag_reads(rows) as heard, Observer(rows, guard.memory, mode=grad_mode, norms=norms) as observer:
            forward = observer.run(batch)
        guard.drew(forward.drew)
        output = detach_from(forward.output, guard.memory)
    drops = forward.drops
    look = fastpath.second_look(
        rows,
        observer.captures,
        batches=lambda: [batch],
        observer=lambda memory: Observer(rows, memory, mode=grad_mode),
        seed=lambda: None if seed is None else rng.seed(seed),
    )
    if look is not None:
        observer.captures.update(look.captures)
        drops = drops + look.drops[0]
        notes = [*notes, look.note]
    return Observation(
        output=output,
        modules=_modules(rows, observer.captures),
        dropouts=[_dropout(rows, drop) for drop in drops],
        norms={capture.path: capture for capture in norms.finish(None, observer.captures)},
        ledger=guard.ledger(),
        autograd=forward.autograd,
        flag_reads=heard.reads,
        random=bool(forward.drew),
        notes=notes,
    )


def _modules(rows: Rows, captures: dict[int, Capture]) -> dict[str, Module]:
    found = zip(rows.paths, module_captures(rows, captures), rows.states(), strict=True)
    return {
        path: Module(capture.calls, capture.stats, capture.shape, capture.dtype, state.effect, capture.unseen)
        for path, capture, state in found
    }


def _dropout(rows: Rows, drop: Drop) -> Dropout:
    path = None if drop.module is None else rows.path_of(drop.module)
    return Dropout(
        path=path or "",
        source=drop.source,
        function=drop.function,
        call=drop.call,
        unit=drop.unit,
        p=drop.p,
        follows_flag=drop.follows_flag,
        active=drop.active,
        observed=drop.observed,
        dropped=_as_input(drop),
        already_zero=drop.already_zero,
        alpha=drop.alpha,
        unseen=drop.unseen,
    )


def _as_input(drop: Drop) -> torch.Tensor | None:
    if drop.input_shape is None or (drop.dropped is None and drop.active):
        return None
    dropped = torch.zeros((), dtype=torch.bool) if drop.dropped is None else drop.dropped
    return dropped.expand(drop.input_shape).reshape(drop.layer_shape or drop.input_shape)
