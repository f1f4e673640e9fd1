"""Running a model once to see whether an input fits, and putting everything back."""

from __future__ import annotations

import copy
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from modelight.engine.errors import Cancelled, ShouldStop
from modelight.engine.loading.pieces import refuse
from modelight.engine.observing.guard import leave_no_trace


@dataclass(frozen=True)
class Trial:
    """How a trial went: ``error`` is None where the model took the input; ``first`` is the first leaf called."""

    error: BaseException | None
    first: nn.Module | None


def attempt(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], should_stop: ShouldStop) -> Trial:
    """Run the model as it stands, without gradients, leaving tensors, flags and random generators as they were.

    Raises:
        Cancelled: ``should_stop`` said so at one of the modules.
    """
    called: list[nn.Module] = []

    def note(module: nn.Module, _: Any) -> None:
        if should_stop():
            raise Cancelled()
        if not called and next(module.children(), None) is None:
            called.append(module)

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if not isinstance(m, torch.jit.ScriptModule)]
    error: BaseException | None = None
    try:
        with leave_no_trace(model), torch.no_grad(), warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            model(*args, **kwargs)
    except Cancelled:
        raise
    except (Exception, SystemExit) as failure:
        error = failure
    finally:
        for hook in hooks:
            hook.remove()
    return Trial(error, called[0] if called else None)


def stand_in(model: nn.Module) -> nn.Module:
    """A lazy model takes its shapes from its first run: a guess must not decide them, so a copy is tried.

    Raises:
        EngineError: kind ``input``, if it cannot be copied.
    """
    lazy = [tensor for tensor in [*model.parameters(), *model.buffers()] if is_lazy(tensor)]
    if not lazy:
        return model
    # torch copies uninitialized parameters, but not uninitialized buffers.
    memo: dict[int, Any] = {
        id(buffer): UninitializedBuffer(device=buffer.device, dtype=buffer.dtype)  # type: ignore[call-arg]
        for buffer in lazy
        if isinstance(buffer, UninitializedBuffer)
    }
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise refuse("This model has lazy layers, so no shape can be tried: give the shape of one sample.") from error
