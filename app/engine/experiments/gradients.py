"""Gradients: which parameters would get one, where the graph is cut, what it keeps and what it costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modelight import protocol as p
from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import Cancelled, EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments.backward import Backward, Gradient, backward, cost, own_leaves
from modelight.engine.experiments.bare import untouched
from modelight.engine.experiments.cuts import CutFinder
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy, rng
from modelight.engine.observing.autograd import SavedTensors
from modelight.engine.observing.forward import grad_mode
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.outputs import fields
from modelight.engine.observing.probes import Listeners, Probes, first_tensor

_OUTSIDE = -1


@dataclass
class _Call:
    """What the calls of one module showed."""

    calls: int = 0
    requires_grad: bool | None = None
    grad_fn: str | None = None
    grad_off: bool = False
    cut: bool = False


@dataclass
class _Seen:
    """What the observed forward showed."""

    calls: dict[int, _Call]
    cuts: CutFinder
    autograd: p.Autograd
    saved: Counter[Hashable] = field(default_factory=Counter)
    """Bytes by row; −1 outside the tree."""


def gradients(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    command: p.AskGradients,
    *,
    info: p.InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> p.Gradients:
    """Run the first ``command.batch`` samples with gradients on, and backward. Leaves no trace, in ``.grad`` neither.

    Args:
        info, classes: decide the scalar: the loss of the labels where there are labels and class scores.

    Raises:
        Cancelled: ``should_stop`` said so, asked at each module and before each pair of timed runs.
        EngineError: the model raised in forward.
    """
    batch = own_leaves(inputs.part(0, max(1, min(command.batch, inputs.samples))))
    lazy.materialise_with(model, batch, command.seed)
    progress(p.Clause("gradients-watching"), 0.0)
    seen = _observe(model, batch, rows, command.seed, should_stop)
    progress(p.Clause("gradients-backward"), 0.3)
    back = backward(model, batch, command.seed, info, classes)
    progress(p.Clause("gradients-timing"), 0.5)
    timed = cost(model, batch, command.seed, back.scalar, should_stop)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    trainable = {id(each) for each in model.parameters() if each.requires_grad}
    unreached = {key: names[key] for key in names if key in trainable and key not in back.gradients}
    flags = [value for module in model.modules() if (value := flag.read(module)) is not None]
    return p.Gradients(
        id=command.id,
        seed=command.seed,
        samples=batch.stop - batch.start,
        train=sum(flags),
        eval=len(flags) - sum(flags),
        modules=[_module(rows, row, seen, back) for row in _first_rows(rows)],
        cuts=seen.cuts.cuts(unreached),
        parameters=len(names),
        trainable=len(trainable),
        received=len(back.gradients),
        zero=sum(each.zero for each in back.gradients.values()),
        autograd=seen.autograd,
        unowned=seen.saved[_OUTSIDE],
        scalar=back.what,
        value=back.value,
        unreached=list(unreached.values())[: p.GRADIENT_NAMES],
        forward=timed.forward,
        backward=timed.backward,
        milliseconds=timed.milliseconds,
        watched=back.watched,
        problem=back.problem,
    )


# --------------------------------------------------------------------------------------------------- the observed run


def call_model(model: nn.Module, batch: Batch) -> Any:
    """The call below which lines belong to the model; :mod:`cuts` looks for it by this name."""
    return model(*batch.args, **batch.kwargs)


def _observe(model: nn.Module, batch: Batch, rows: Rows, seed: int, should_stop: ShouldStop) -> _Seen:
    calls: dict[int, _Call] = {}
    listeners = Listeners(left=[lambda row, module, args, output, known: _left(row, calls, module, args, output)])
    probes = Probes(rows, should_stop=should_stop, listeners=listeners)
    probes.capturing = False

    def owner() -> int:
        module = probes.owner()
        return _OUTSIDE if module is None else rows.index_of(module)

    cuts = CutFinder(lambda: "" if (row := owner()) < 0 else rows.paths[row])
    given = [tensor for _, tensor in fields((batch.args, batch.kwargs))]
    saved = SavedTensors(list(model.parameters()), given, owner)
    with leave_no_trace(model), untouched(batch), grad_mode("enabled"):
        rng.seed(seed)
        try:
            with saved, probes, cuts:
                output = call_model(model, batch)
        except Cancelled:
            raise
        except (Exception, SystemExit) as error:
            path = probes.failed[1] if probes.failed is not None else None
            message = f"The model raised {type(error).__name__}: {error}"
            raise EngineError(message, kind="run", module=path) from error
        seen = _Seen(calls, cuts, saved.result(), saved.by_owner())  # while the output, and so the graph, still lives
        del output
    return seen


def _left(row: int, calls: dict[int, _Call], module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    if row < 0:
        return
    # Hooks run around forward: a grad mode that forward itself enters is left by now, and this is the caller's.
    on, call = torch.is_grad_enabled(), calls.setdefault(row, _Call())
    call.calls += 1
    call.grad_off |= not on
    first = first_tensor(output)
    if first is not None:
        call.requires_grad = first.requires_grad
        call.grad_fn = type(first.grad_fn).__name__ if first.grad_fn is not None else None
    returned = [tensor for _, tensor in fields(output)]
    if on and returned and not any(tensor.requires_grad for tensor in returned):
        given = any(tensor.requires_grad for _, tensor in fields(args))
        call.cut |= given or any(parameter.requires_grad for parameter in module.parameters())


# ----------------------------------------------------------------------------------------------------------- results


def _first_rows(rows: Rows) -> list[int]:
    return [row for row, module in enumerate(rows.modules) if rows.index_of(module) == row]


def _module(rows: Rows, row: int, seen: _Seen, back: Backward) -> p.ModuleGradient:
    module, path = rows.modules[row], rows.paths[row]
    parameters = list(module.parameters())
    received = [back.gradients[id(each)] for each in parameters if id(each) in back.gradients]
    call = seen.calls.get(row, _Call())
    dot = f"{path}." if path else ""
    return p.ModuleGradient(
        row=row,
        parameters=len(parameters),
        trainable=sum(each.requires_grad for each in parameters),
        received=len(received),
        zero=sum(each.zero for each in received),
        norm=_norm(received),
        calls=call.calls,
        requires_grad=call.requires_grad,
        grad_fn=call.grad_fn,
        grad_off=call.grad_off,
        cut=call.cut,
        saved=seen.saved[row],
        moves=_moves(module._buffers, dot, back.moved),
    )


def _norm(received: Sequence[Gradient]) -> float | None:
    return math.sqrt(sum(each.square for each in received)) if received else None


def _moves(buffers: Mapping[str, torch.Tensor | None], dot: str, moved: frozenset[str]) -> int:
    return sum(dot + name in moved for name in buffers)
