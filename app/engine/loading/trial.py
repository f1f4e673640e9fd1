"""Running a model once to see whether an input fits, and putting everything back."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine.errors import Cancelled, ShouldStop


@dataclass(frozen=True)
class Trial:
    """How a trial went: ``error`` is None where the model took the input; ``first`` is the first leaf that was called."""

    error: Exception | None
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
    error: Exception | None = None
    try:
        with untouched(model), torch.no_grad(), warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            model(*args, **kwargs)
    except Cancelled:
        raise
    except Exception as failure:
        error = failure
    finally:
        for hook in hooks:
            hook.remove()
    return Trial(error, called[0] if called else None)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put back, bit for bit, every parameter, buffer and flag of the model and the random generators.

    Tensors are copied whole: trials are few and happen when a model is opened, so the cost of one copy does not matter.
    """
    stores = [(module._parameters, module._buffers) for module in model.modules()]
    slots = [(store, dict(store)) for pair in stores for store in pair]
    copies = [(t, t.detach().clone()) for _, held in slots for t in held.values() if t is not None and not is_lazy(t)]
    flags = [
        (module, module.training) for module in model.modules() if isinstance(getattr(module, "training", None), bool)
    ]
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state(), _device_states())
    try:
        yield
    finally:
        for store, held in slots:
            store.clear()
            store.update(held)
        with torch.no_grad():
            for tensor, copy in copies:
                _put_back(tensor, copy)
        for module, flag in flags:
            if module.training != flag:
                module.training = flag
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        _restore_devices(states[3])


def _put_back(tensor: torch.Tensor, copy: torch.Tensor) -> None:
    if tensor.is_inference():
        with torch.inference_mode():
            tensor.copy_(copy)
    else:
        tensor.data.copy_(copy)


def _device_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _restore_devices(states: list[torch.Tensor]) -> None:
    if states:
        torch.cuda.set_rng_state_all(states)
