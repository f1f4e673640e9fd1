"""Listen to one run: which module is running, how often each was called, how long, and what came out.

Two global module hooks, and none on the modules themselves: a hook on a submodule switches the fused paths of
``TransformerEncoderLayer`` and ``MultiheadAttention`` off, a global one does not; registering two is cheaper than
registering hundreds; and modules that are not registered anywhere are seen as well.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_hooks

from modelight.engine.errors import Cancelled, ShouldStop, never_stop
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.summary import SAMPLE, Sample, Taken, is_readable
from modelight.protocol import Clause


@dataclass
class Capture:
    """What was seen of one module over all forwards since the probes were set."""

    calls: int = 0
    seconds: float = 0.0
    shape: tuple[int, ...] = ()
    dtype: str = ""
    requires_grad: bool = False
    is_inference: bool = False
    sample: Sample | None = None
    unseen: Clause | None = None


@dataclass
class _Running:
    module: nn.Module
    row: int
    began: float
    known: int
    """Drops that were known when it was entered."""
    raising: BaseException | None


@dataclass
class Listeners:
    """Who else wants to hear of modules that are entered and left, while their tensors are at hand."""

    entered: list[Callable[[nn.Module, tuple[Any, ...]], None]] = field(default_factory=list)
    left: list[Callable[[nn.Module, tuple[Any, ...], Any, int], None]] = field(default_factory=list)
    mark: Callable[[], int] = lambda: 0
    """A number to be handed to ``left`` again: how much was known when the module was entered."""
    operators: Callable[[], int] | None = None
    """How many operators have run; None where nobody counts."""
    rectified: Callable[[], int] = lambda: 0
    """The ``id`` of what the last operator that ran wrote to, if that was ``relu_``."""


class Probes:
    """A context: while it is entered, modules that run in this thread are heard.

    Args:
        rows: the tree; modules that are not in it are followed, but not captured.
        sample_limit: values to keep per module and call.
        detail: row that is captured whole; −1 for none.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        sample_limit: int = SAMPLE,
        detail: int = -1,
        should_stop: ShouldStop = never_stop,
        listeners: Listeners | None = None,
    ) -> None:
        self.captures: dict[int, Capture] = {}
        self.capturing = True
        self.failed: tuple[BaseException, str] | None = None
        self._rows = rows
        self._limit = sample_limit
        self._detail = detail
        self._should_stop = should_stop
        self._listeners = listeners or Listeners()
        self._stack: list[_Running] = []
        self._handles: list[Any] = []
        self._thread = 0
        # Weak: holding the tensor would keep its memory, still in the cache, from the operators that follow.
        self._last: tuple[weakref.ref[torch.Tensor], int, Taken] | None = None

    def __enter__(self) -> Probes:
        self._thread = threading.get_ident()
        self._last = None
        self._handles = [
            module_hooks.register_module_forward_pre_hook(self._enter_module),
            module_hooks.register_module_forward_hook(self._leave_module, always_call=True),
        ]
        return self

    def __exit__(self, *error: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._last = None
        self._stack.clear()
        # They lead back to the observer: a cycle that would keep all of a run's copies until the next collection.
        self._listeners = Listeners()

    # ------------------------------------------------------------------------------------------------ what is running

    def running(self) -> nn.Module | None:
        """The innermost running module, registered or not."""
        return self._stack[-1].module if self._stack else None

    def owner(self) -> nn.Module | None:
        """The innermost running module that is in the tree."""
        return next((entry.module for entry in reversed(self._stack) if entry.row >= 0), None)

    def begin(self) -> None:
        """Another forward begins."""
        self.failed = self._last = None
        self._stack.clear()

    # ---------------------------------------------------------------------------------------------------- the hooks

    def _enter_module(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        row = self._rows.index_of(module)
        if threading.get_ident() != self._thread:
            if row >= 0 and self.capturing:
                # Modes and the stack of running modules are per thread: what happens there is out of sight.
                self.captures.setdefault(row, Capture(unseen=Clause("other-thread")))
            return
        known = self._listeners.mark()
        self._stack.append(_Running(module, row, time.perf_counter(), known, sys.exc_info()[1]))
        if self._should_stop():
            raise Cancelled
        if row >= 0:
            for listener in self._listeners.entered:
                listener(module, args)

    def _leave_module(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != self._thread or not any(entry.module is module for entry in self._stack):
            return
        now = time.perf_counter()
        entry = self._stack.pop()
        while entry.module is not module:  # left by an exception that no hook is called for, and caught on the way
            entry = self._stack.pop()
        error = sys.exc_info()[1]
        if error is not None and error is not entry.raising:
            self._note_failure(error, entry)
            return
        for listener in self._listeners.left:
            listener(module, args, output, entry.known)
        if entry.row >= 0 and self.capturing:
            self._capture(entry, now, output)

    def _note_failure(self, error: BaseException, entry: _Running) -> None:
        if self.failed is not None and self.failed[0] is error:
            return
        shown = [entry.row, *(above.row for above in reversed(self._stack))]
        path = next((self._rows.paths[row] for row in shown if row >= 0), "")
        self.failed = (error, path)

    # ----------------------------------------------------------------------------------------------------- captures

    def _capture(self, entry: _Running, now: float, output: Any) -> None:
        capture = self.captures.get(entry.row)
        if capture is None:
            capture = self.captures[entry.row] = Capture()
        capture.calls += 1
        capture.seconds += now - entry.began
        tensor = first_tensor(output)
        if tensor is None:
            capture.unseen = Clause("no-tensor-output", {"type": type(output).__name__})
            return
        capture.shape, capture.dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        capture.requires_grad, capture.is_inference = tensor.requires_grad, tensor.is_inference()
        # Neither autograd nor the dispatch mode is to see what we do with it.
        with torch._C._DisableTorchDispatch(), torch.no_grad():
            self._sample(capture, entry.row, tensor)

    def _sample(self, capture: Capture, row: int, tensor: torch.Tensor) -> None:
        if not is_readable(tensor):
            capture.unseen = Clause("not-readable", {"type": type(tensor).__name__, "dtype": capture.dtype})
            return
        if capture.sample is None:
            capture.sample = Sample()
        if row == self._detail:
            self._last = None
            capture.sample.take(tensor, tensor.numel())
            return
        taken = self._known(tensor, capture.sample.step)
        if taken is None:
            taken = capture.sample.take(tensor, self._limit)
        else:
            capture.sample.add(taken)
        self._last = None if taken is None else (weakref.ref(tensor), self._operators(), taken)

    def _known(self, tensor: torch.Tensor, step: int) -> Taken | None:
        """What the tensor shows, if that follows from what was read last: a container hands on what its last module
        put out, or all that has run since is one ``relu_`` on it."""
        if self._last is None or self._last[0]() is not tensor:
            return None
        _, operators, taken = self._last
        since = self._operators() - operators
        if operators < 0 or (step and step != taken.step):
            return None
        if since == 0:
            return taken
        return taken.rectified() if since == 1 and self._listeners.rectified() == id(tensor) else None

    def _operators(self) -> int:
        return self._listeners.operators() if self._listeners.operators is not None else -1


def first_tensor(value: object, depth: int = 0) -> torch.Tensor | None:
    """The first tensor of what a module returned, in the order of its fields."""
    if isinstance(value, torch.Tensor):
        return value
    if depth > 4:
        return None
    items: Any = ()
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    elif hasattr(value, "__dataclass_fields__"):
        items = (getattr(value, name, None) for name in value.__dataclass_fields__)
    return next((found for found in (first_tensor(item, depth + 1) for item in items) if found is not None), None)
