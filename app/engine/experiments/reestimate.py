"""Running statistics as these inputs would have them: a preview that changes nothing, and a checkpoint that has them.

The estimate is that of ``torch.optim.swa_utils.update_bn``: statistics are reset, momentum is None, and every batch of
every pass counts alike in the cumulative average. Only the layers that are estimated are in train, so that dropout
does not disturb what they see; where a model has none before its norms, the two agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.utils import _pytree

from modelight import protocol as p
from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import Cancelled, EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.experiments import measure
from modelight.engine.experiments.answers import Floats, first_output, rows_of
from modelight.engine.experiments.bare import untouched
from modelight.engine.modules import flag, policy
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import lazy, rng
from modelight.engine.observing.forward import grad_mode
from modelight.engine.observing.guard import leave_no_trace
from modelight.engine.observing.norms import NormRecorder
from modelight.engine.observing.outputs import fields
from modelight.engine.observing.probes import Listeners, Probes

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass
class Estimate:
    """New statistics of the layers that are estimated, by the layer's first path: copies of the buffers."""

    reply: p.ReEstimated
    buffers: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)


@dataclass
class _Looked:
    """What a pass over all samples in eval showed."""

    values: Floats
    name: str
    shape: tuple[int, ...]
    per_sample: bool
    norms: dict[str, p.NormCapture]


@dataclass(frozen=True)
class _Work:
    """What is run, and how."""

    model: nn.Module
    rows: Rows
    inputs: Inputs
    batch: int
    seed: int
    should_stop: ShouldStop

    def run(self, batch: Batch) -> Any:
        if self.should_stop():
            raise Cancelled
        with untouched(batch), grad_mode("no_grad"):
            return self.model(*batch.args, **batch.kwargs)


def reestimate(
    model: nn.Module,
    inputs: Inputs,
    rows: Rows,
    command: p.ReEstimate,
    *,
    info: p.InputInfo | None = None,
    classes: Sequence[str] = (),
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> Estimate:
    """Estimate running statistics from ``inputs``, and run the model in eval with the old and with the new ones.

    Raises:
        Cancelled: ``should_stop`` said so, asked before each forward.
        EngineError: the model has no layer with running statistics, or raised.
    """
    work = _Work(model, rows, inputs, max(1, command.batch), command.seed, should_stop)
    lazy.materialise_with(model, inputs.part(0, work.batch), command.seed)
    chosen, kept = _layers(rows)
    if not chosen:
        raise EngineError(
            "The model has no layer whose running statistics a run in train would move.",
            kind="input",
            clause=p.Clause("nothing-to-re-estimate"),
        )
    with leave_no_trace(model), _raised_inside_model(rows):
        _all_eval(rows)
        progress(p.Clause("re-estimating-before"), 0.0)
        before = _look(work)
        batches = _accumulate(work, chosen, max(1, command.passes), progress)
        buffers = {path: _copies(module) for path, module in chosen.items()}
        progress(p.Clause("re-estimating-after"), 0.9)
        after = _look(work)
    norms = [_norm(rows, path, before, after, kept.get(path)) for path in before.norms]
    reply = _reply(command, work, batches, [one for one in norms if one is not None], before, after, info, classes)
    return Estimate(reply, buffers)


# ------------------------------------------------------------------------------------------------------- the layers


def _layers(rows: Rows) -> tuple[dict[str, _NormBase], dict[str, p.Clause]]:
    """The layers to estimate by path; and those that keep the running statistics they use, with the reason."""
    chosen: dict[str, _NormBase] = {}
    kept: dict[str, p.Clause] = {}
    for row, (path, module) in enumerate(zip(rows.paths, rows.modules, strict=True)):
        has = all(policy.buffer(module, name) is not None for name in ("running_mean", "running_var"))
        if not has or rows.index_of(module) != row or isinstance(module, torch.jit.ScriptModule):
            continue
        rule = policy.policy(module, training=True)
        if rule is not None and rule.updates and isinstance(module, _NormBase):
            chosen[path] = module
        else:
            kept[path] = p.Clause("keeps-statistics", {"type": type(module).__name__})
    return chosen, kept


def _all_eval(rows: Rows) -> None:
    for module in {id(module): module for module in rows.modules}.values():
        if flag.read(module):
            flag.write(module, False)


def _copies(module: nn.Module) -> dict[str, torch.Tensor]:
    buffers = {name: policy.buffer(module, name) for name in BUFFERS}
    return {name: tensor.detach().clone() for name, tensor in buffers.items() if tensor is not None}


# ------------------------------------------------------------------------------------------------------- estimating


def _accumulate(work: _Work, chosen: dict[str, _NormBase], passes: int, progress: ReportProgress) -> int:
    """Leave the layers with their new statistics, in eval again; returns how many batches that took."""
    handles, count = [], 0
    for module in chosen.values():
        module.reset_running_stats()
        flag.write(module, True)
        if isinstance(module, _BatchNorm) and module.num_batches_tracked is not None:
            module.momentum = None
        else:
            # Without a counter, and in instance norm, momentum None means that nothing moves.
            handles.append(module.register_forward_pre_hook(_Cumulative()))
    try:
        for number in range(passes):
            progress(p.Clause("re-estimating", {"pass": number + 1, "passes": passes}), 0.1 + 0.8 * number / passes)
            rng.seed(work.seed + number)
            for batch in shuffled(work.inputs, work.seed, number).batches(work.batch):
                work.run(batch)
                count += 1
    finally:
        for handle in handles:
            handle.remove()
    for module in chosen.values():
        flag.write(module, False)
    return count


class _Cumulative:
    """A hook that gives the n-th call of its layer the weight 1/n."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, module: nn.Module, args: Any) -> None:
        self._calls += 1
        module.momentum = 1.0 / self._calls  # type: ignore[assignment]


def shuffled(inputs: Inputs, seed: int, number: int) -> Inputs:
    """The samples as pass ``number`` takes them: in their order at first, in a random one after that."""
    if number == 0 or not inputs.splittable or inputs.samples < 2:
        return inputs
    order = torch.randperm(inputs.samples, generator=torch.Generator().manual_seed(seed + number))

    def take(value: Any) -> Any:
        whole = isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == inputs.samples
        return value[order.to(value.device)] if whole else value

    args, kwargs = _pytree.tree_map(take, (inputs.args, inputs.kwargs))
    return replace(inputs, args=args, kwargs=kwargs, labels=())


# ---------------------------------------------------------------------------------------------------------- looking


def _look(work: _Work) -> _Looked:
    """All samples in eval, with the statistics as they are now, and what each norm layer's input had."""
    recorder = NormRecorder(work.rows)
    listeners = Listeners(
        entered=[lambda row, module, args: recorder.entered(row, args)],
        left=[lambda row, module, args, output, known: recorder.left(row)],
    )
    probes = Probes(work.rows, should_stop=work.should_stop, listeners=listeners)
    probes.capturing = False
    parts, name, own = [], "", True
    shape: tuple[int, ...] = ()
    rng.seed(work.seed)
    with probes:
        for batch in work.inputs.batches(work.batch):
            name, tensor = first_output(list(fields(work.run(batch))))
            values, per_sample = rows_of(tensor.detach().cpu(), batch.stop - batch.start)
            parts.append(values.copy())
            shape, own = shape or tuple(tensor.shape), own and per_sample
    if len({part.shape[1:] for part in parts}) > 1:
        raise EngineError("The output has another shape each time.", kind="run", clause=p.Clause("shape-varies"))
    captures = {capture.path: capture for capture in recorder.finish(None)}
    return _Looked(np.concatenate(parts).astype(np.float64), name, shape, own, captures)


@contextmanager
def _raised_inside_model(rows: Rows) -> Iterator[None]:
    """What the model raises becomes a failure of the run."""
    try:
        yield
    except EngineError:
        raise
    except (Exception, SystemExit) as error:
        raise EngineError(f"The model raised {type(error).__name__}: {error}", kind="run") from error


# ----------------------------------------------------------------------------------------------------------- result


def _norm(rows: Rows, path: str, before: _Looked, after: _Looked, kept: p.Clause | None) -> p.NormEstimate | None:
    old, new = before.norms[path], after.norms[path]
    if old.running_mean is None or old.running_var is None or new.running_mean is None or new.running_var is None:
        return None
    return p.NormEstimate(
        row=old.row,
        path=path,
        type=old.type,
        mean_before=old.running_mean,
        mean_after=new.running_mean,
        var_before=old.running_var,
        var_after=new.running_var,
        drift_before=old.drift,
        drift_after=new.drift,
        tracked_before=old.tracked,
        tracked_after=new.tracked,
        kept=kept,
    )


def _reply(
    command: p.ReEstimate,
    work: _Work,
    batches: int,
    norms: list[p.NormEstimate],
    before: _Looked,
    after: _Looked,
    info: p.InputInfo | None,
    classes: Sequence[str],
) -> p.ReEstimated:
    reading = measure.choose(
        np.concatenate([before.values, after.values]) if before.values.shape == after.values.shape else after.values,
        name=after.name,
        shape=after.shape,
        per_sample=before.per_sample and after.per_sample,
        info=info,
        classes=classes,
    )
    old, new = (measure.read(looked.values, reading) for looked in (before, after))
    labels = list(info.labels) if info is not None and reading != "raw" else []
    return p.ReEstimated(
        id=command.id,
        batch=work.batch,
        passes=max(1, command.passes),
        samples=work.inputs.samples,
        batches=batches,
        norms=norms,
        measure=reading,
        before=p.Array.of(old.astype(np.float32)),
        after=p.Array.of(new.astype(np.float32)),
        moved=measure.apart(old, new, reading),
        labelled=sum(label is not None for label in labels),
        right_before=_right(old, labels),
        right_after=_right(new, labels),
        notes=_notes(work),
    )


def _right(values: Floats, labels: Sequence[int | None]) -> int:
    """How many labelled samples are answered rightly; values are samples × classes, as read."""
    chosen = values.argmax(axis=1) if values.shape[1] > 1 else (values[:, 0] > 0.5).astype(int)
    return sum(int(chosen[index]) == label for index, label in enumerate(labels[: len(chosen)]) if label is not None)


def _notes(work: _Work) -> list[p.Clause]:
    """``estimate-one-sample``: every batch is a sample; ``estimate-uneven`` {last, batch}: the last one is smaller."""
    if not work.inputs.splittable:
        return []
    notes, last = [], work.inputs.samples % work.batch
    if work.batch == 1 and work.inputs.samples > 1:
        notes.append(p.Clause("estimate-one-sample"))
    elif last and work.inputs.samples > work.batch:
        notes.append(p.Clause("estimate-uneven", {"last": last, "batch": work.batch}))
    return notes
