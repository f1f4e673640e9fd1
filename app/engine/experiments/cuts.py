"""Where the graph is cut: the lines behind which trainable parameters get no gradient.

A ``TorchFunctionMode`` sees each call of torch with its tensors as autograd sees them (a dispatch mode works below
autograd). An operator that takes something that requires grad and returns nothing that does is a cut; nearly all of
them are harmless (a mask from a comparison, a logged loss), so only those are reported that lie behind parameters
which backward did not reach. Not seen: inside scripts, and in ``torch.autograd.Function``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

from modelight.protocol import GRADIENT_NAMES, GradientCut

Reason = Literal["detach", "data", "item", "no_grad", "inference_mode", "integer", "operator"]
_QUIET = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parents[1]}{os.sep}")
_LEAVING = ("item", "tolist", "__float__", "__int__", "__index__", "__complex__")
"""Methods that return Python numbers. (``numpy()`` refuses a tensor that requires grad.)"""


class _Place(NamedTuple):
    reason: Reason
    operator: str
    module: str
    source: str | None


@dataclass
class _Cut:
    calls: int = 0
    before: list[Any] = field(default_factory=list)
    """Leaves, and nodes of the graph, that the cut tensors came from."""


class CutFinder(TorchFunctionMode):
    """Active during one forward with gradients on.

    Args:
        running: the path of the innermost running module of the tree.
    """

    def __init__(self, running: Callable[[], str]) -> None:
        super().__init__()
        self._running = running
        self._found: dict[_Place, _Cut] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # Before the call: detach_() changes what it is given.
        before = [tensor.grad_fn or tensor for tensor in _tensors((args, kwargs)) if tensor.requires_grad]
        result = func(*args, **kwargs)
        if before and (reason := _reason(func, result)) is not None:
            cut = self._found.setdefault(_Place(reason, _name(func), self._running(), _source()), _Cut())
            cut.calls += 1
            cut.before += before
        return result

    def cuts(self, unreached: Mapping[int, str]) -> list[GradientCut]:
        """The cuts that lie behind ``unreached`` parameters (names by id of the tensor), the gravest first."""
        found = []
        for place, cut in self._found.items():
            behind = {id(leaf) for leaf in _leaves(cut.before)}
            names = [name for key, name in unreached.items() if key in behind]
            if names:
                found.append(GradientCut(*place, cut.calls, names[:GRADIENT_NAMES], len(names)))
        return sorted(found, key=lambda cut: -cut.count)


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in _pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _name(func: Any) -> str:
    name = str(getattr(func, "__name__", func))
    # Reading a property arrives as the __get__ of its descriptor.
    return str(getattr(func.__self__, "__name__", name)) if name == "__get__" else name


def _reason(func: Any, result: Any) -> Reason | None:
    """Why the result does not require grad; None where it does, or where it carries none of the values."""
    name = _name(func)
    if name in _LEAVING:
        return "item"
    if name.endswith("_like") or name.startswith("new_") or (name == "grad" and func.__name__ == "__get__"):
        return None
    results = _tensors(result)
    if not results or any(tensor.requires_grad for tensor in results):
        return None
    if name == "data":
        return "data"
    if torch.is_inference_mode_enabled():
        return "inference_mode"
    if not torch.is_grad_enabled():
        return "no_grad"
    if name in ("detach", "detach_"):
        return "detach"
    numbers = any(tensor.is_floating_point() or tensor.is_complex() for tensor in results)
    return "operator" if numbers else "integer"


def _source() -> str | None:
    """The first line outside torch and the engine, below the call of the model."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_QUIET):
        if frame.f_code.co_name == "call_model" and frame.f_code.co_filename.startswith(_QUIET[1]):
            return None
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _leaves(before: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The leaves that autograd would reach from these tensors and nodes."""
    waiting, seen = list(before), set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, torch.Tensor):
            yield item
        elif item is not None and item not in seen:
            seen.add(item)
            if (leaf := getattr(item, "variable", None)) is not None:
                yield leaf
            waiting += [node for node, _ in item.next_functions]
