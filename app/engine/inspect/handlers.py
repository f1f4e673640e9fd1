"""The commands of the protocol that look at a checkpoint by itself."""

from __future__ import annotations

from modelight.engine.errors import EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.inspect import values
from modelight.engine.inspect.compare import diff
from modelight.engine.inspect.facts import inspect, tensors_of
from modelight.engine.inspect.reading import open_checkpoint, take_if_there
from modelight.protocol import (
    CheckpointsCompared,
    Clause,
    CompareCheckpoints,
    Inspect,
    Inspected,
    InspectTensor,
    TensorInspected,
    plain,
)


def handle(
    command: Inspect, *, progress: ReportProgress = no_progress, should_stop: ShouldStop = never_stop
) -> Inspected:
    """Carry out :class:`Inspect`.

    Raises:
        EngineError: as :func:`modelight.engine.inspect.inspect`.
    """
    facts = inspect(command.path, key=command.key, trust=command.trust, progress=progress, should_stop=should_stop)
    return Inspected(id=command.id, facts=facts)


def handle_tensor(
    command: InspectTensor, *, progress: ReportProgress = no_progress, should_stop: ShouldStop = never_stop
) -> TensorInspected:
    """Carry out :class:`InspectTensor`. The file is opened anew, so that a change on the disk is seen.

    Raises:
        EngineError: as :func:`open_checkpoint`; kind ``checkpoint`` where the file holds no such tensor (any more);
            :class:`Cancelled`.
    """
    what = Clause("reading-values", {"tensor": command.name})
    progress(what, None)
    content = open_checkpoint(command.path, key=command.key, trust=command.trust)
    tensors = {plain(name): tensor for name, tensor in tensors_of(content).items()}
    tensor = tensors.get(command.name)
    if tensor is None:
        raise EngineError(f"The file holds no tensor {command.name} any more: open it again.", kind="checkpoint")
    unseen = values.unreadable(tensor)
    if unseen is not None:
        return TensorInspected(id=command.id, name=command.name, stats=None, unseen=unseen, stamp=content.stamp)
    figures = values.exact(tensor, should_stop=should_stop, advance=lambda share: progress(what, share))
    return TensorInspected(
        id=command.id,
        name=command.name,
        stats=figures.stats,
        stamp=content.stamp,
        not_finite=(figures.nan, figures.infinite),
    )


def handle_pair(
    command: CompareCheckpoints, *, progress: ReportProgress = no_progress, should_stop: ShouldStop = never_stop
) -> CheckpointsCompared:
    """Carry out :class:`CompareCheckpoints`.

    Raises:
        EngineError: as :func:`open_checkpoint`; :class:`Cancelled`.
    """
    first = open_checkpoint(command.path, key=command.key, trust=command.trust)
    other = open_checkpoint(command.other, key=command.other_key, trust=command.trust)
    if not command.other_key:
        other = take_if_there(other, command.key)
    return CheckpointsCompared(id=command.id, difference=diff(first, other, progress=progress, should_stop=should_stop))
