"""Random generators: remember, seed and put back all that a forward may draw from."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

_ACCELERATORS = ("cuda", "xpu", "mps")
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
_PLAIN = {type(None), bool, int, float, str, tuple, list, dict, set, OrderedDict, torch.Tensor, nn.Parameter}
"""Types of nearly all attributes. Asking whether they are generators is slow: torch's class answers in Python."""


SEEDERS: dict[str, Callable[[int], object]] = {
    "torch": torch.manual_seed,
    "numpy": lambda value: np.random.seed(value % 2**32),
    "random": random.seed,
}
"""How each global generator is seeded; torch's on every device together."""


def seed(value: int) -> None:
    """Seed torch (accelerators included), numpy's global generator and Python's ``random``."""
    for seeder in SEEDERS.values():
        seeder(value)


def _device_states() -> dict[str, list[torch.Tensor]]:
    states: dict[str, list[torch.Tensor]] = {}
    for name in _ACCELERATORS:
        device = getattr(torch, name, None)
        if device is None or not device.is_available():
            continue
        # A device that nothing has used yet has drawn nothing, and asking for its state would start it.
        if name != "mps" and not device.is_initialized():
            continue
        states[name] = [device.get_rng_state()] if name == "mps" else list(device.get_rng_state_all())
    return states


@dataclass(frozen=True)
class RngState:
    """The state of every global generator at one moment."""

    torch_cpu: torch.Tensor
    devices: dict[str, list[torch.Tensor]]
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @staticmethod
    def now() -> RngState:
        """Remember the present state."""
        with torch.inference_mode(False):
            return RngState(torch.get_rng_state(), _device_states(), _numpy_state(), random.getstate())

    def restore(self) -> None:
        """Put every generator back to this state."""
        torch.set_rng_state(self.torch_cpu)
        for name, states in self.devices.items():
            device = getattr(torch, name)
            if name == "mps":
                device.set_rng_state(states[0])
            else:
                device.set_rng_state_all(states)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def moved(self) -> list[str]:
        """Names of the generators that something drew from since: ``torch``, ``cuda:0``, ``numpy``, ``random``."""
        names = [] if torch.equal(torch.get_rng_state(), self.torch_cpu) else ["torch"]
        for name, states in _device_states().items():
            # A device that came to life since was seeded, but whether it drew cannot be told; nothing is claimed.
            before = self.devices.get(name, states)
            pairs = enumerate(zip(states, before, strict=True))
            names += [f"{name}:{index}" for index, (now, then) in pairs if not torch.equal(now, then)]
        numpy = _numpy_state()
        if numpy[2:] != self.numpy[2:] or not np.array_equal(numpy[1], self.numpy[1]):
            names.append("numpy")
        if random.getstate() != self.python:
            names.append("random")
        return names


def _numpy_state() -> tuple[Any, ...]:
    return tuple(np.random.get_state())


class OwnedGenerators:
    """Generators that modules keep as attributes."""

    def __init__(self, modules: Iterator[tuple[str, nn.Module]]) -> None:
        self._saved = [
            (f"{path}.{key}" if path else key, value, _get_state(value))
            for path, module in modules
            for key, value in vars(module).items()
            if type(value) not in _PLAIN
            and isinstance(value, (torch.Generator, np.random.Generator, np.random.RandomState, random.Random))
        ]

    def moved(self) -> list[str]:
        """Names (module path and attribute) of those that were drawn from since."""
        return [name for name, generator, state in self._saved if not _same(_get_state(generator), state)]

    def seeders(self) -> dict[str, Callable[[int], object]]:
        """How each is seeded, by name; one that is known under several names once."""
        distinct = {id(generator): (name, generator) for name, generator, _ in reversed(self._saved)}
        return {name: _seeder(generator) for name, generator in reversed(distinct.values())}

    def restore(self) -> None:
        """Put each back."""
        for _, generator, state in self._saved:
            _set_state(generator, state)


def _get_state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.get_state()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _seeder(generator: Any) -> Callable[[int], object]:
    if isinstance(generator, torch.Generator):
        return generator.manual_seed
    if isinstance(generator, np.random.Generator):
        kind = type(generator.bit_generator)
        return lambda value: _set_state(generator, kind(value).state)
    if isinstance(generator, np.random.RandomState):
        return lambda value: generator.seed(value % 2**32)
    seeder: Callable[[int], object] = generator.seed
    return seeder


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right)
    if isinstance(left, dict):
        return all(_same(left[key], right[key]) for key in left)
    if isinstance(left, (tuple, list)):
        return all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
