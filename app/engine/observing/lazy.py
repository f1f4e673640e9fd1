"""Materialise lazy layers once, before anything is observed: their first forward makes their parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from modelight import protocol
from modelight.engine.batches import Batch, Inputs
from modelight.engine.errors import EngineError
from modelight.engine.modules import flag
from modelight.engine.observing import rng
from modelight.engine.observing.attributes import Attributes
from modelight.engine.observing.memory import Memory
from modelight.protocol import Clause


def lazy_names(model: nn.Module) -> list[str]:
    """Names of parameters and buffers that have no shape yet."""
    return [
        name
        for source in (model.named_parameters(), model.named_buffers())
        for name, tensor in source
        if is_lazy(tensor)
    ]


def materialise(model: nn.Module, inputs: Inputs, command: protocol.Run) -> list[Clause]:
    """Run the first batch once if the model has lazy layers. What they make is the baseline of every later run.

    Returns a note ``lazy-materialised`` {count, tensors}, or nothing.

    Raises:
        EngineError: that forward failed.
    """
    return materialise_with(model, next(iter(inputs.batches(command.batch))), command.seed)


def materialise_with(model: nn.Module, batch: Batch, seed: int | None) -> list[Clause]:
    """The same for one batch; without a seed the parameters are drawn from the generators as they are."""
    names = lazy_names(model)
    if not names:
        return []
    random = rng.RngState.now()
    memory = Memory()
    # What lazy layers make stays; counters, caches and states of the others are no business of this forward.
    attributes = [Attributes("", module) for module in model.modules() if not isinstance(module, LazyModuleMixin)]
    kept = [tensor for part in attributes for _, _, tensor in part.tensors()]
    held = [memory.add(tensor) for tensor in [*_tensors(model, batch), *kept] if not is_lazy(tensor)]
    flags = [(module, flag.read(module)) for module in model.modules()]
    if seed is not None:
        rng.seed(seed)
    try:
        # In eval: the statistics of a lazy norm are then made, but not moved.
        for module, _ in flags:
            flag.write(module, False)
        with torch.inference_mode(False), torch.no_grad():
            model(*batch.args, **batch.kwargs)
    except (Exception, SystemExit) as error:
        raise EngineError(f"The first forward of the lazy layers failed: {error}", kind="run", module="") from error
    finally:
        for module, was in flags:
            if was is not None:
                flag.write(module, was)
        for part in attributes:
            part.restore()
        for entry in held:
            entry.restore()
        random.restore()
    return [Clause("lazy-materialised", {"count": len(names), "tensors": list(names)})]


def _tensors(model: nn.Module, batch: Batch) -> list[Any]:
    from modelight.engine.observing.outputs import fields

    given = [tensor for _, tensor in fields((batch.args, batch.kwargs))]
    return [*model.parameters(), *model.buffers(), *given]
