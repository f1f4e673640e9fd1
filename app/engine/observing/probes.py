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
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules import module as module_hooks

from modelight.engine.errors import Cancelled, ShouldStop, never_stop
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.summary import SAMPLE, Sample, Taken, is_readable
from modelight.protocol import Clause


@dataclass(slots=True)
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


@dataclass(slots=True)
class _Running:
    module: nn.Module
    row: int
    began: float
    known: int
    """Drops that were known when it was entered."""
    raising: BaseException | None
    late: Any = None
    """The handle of a hook of ours behind the module's own, which may return something else."""

    def forget(self) -> None:
        """It was left, however."""
        if self.late is not None:
            self.late.remove()


@dataclass
class Listeners:
    """Who else wants to hear of modules that are entered and left, while their tensors are at hand.

    Each is given the module's row first; −1 for one that is not in the tree.
    """

    entered: list[Callable[[int, nn.Module, tuple[Any, ...]], None]] = field(default_factory=list)
    """Of modules in the tree only."""
    left: list[Callable[[int, nn.Module, tuple[Any, ...], Any, int], None]] = field(default_factory=list)
    """The last argument: how many drops were known when the module was entered."""
    rows: Container[int] | None = None
    """The rows that are of interest; None for all. Modules that are not in the tree always are."""


class Operators(Protocol):
    """Somebody who sees every operator that runs."""

    operators: int
    """How many have."""
    rectified: tuple[int, int]
    """The ``id`` of what the last ``relu_`` wrote to, and the count of operators with it."""


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
        self._rows_heard = self._listeners.rows
        self._stack: list[_Running] = []
        self._handles: list[Any] = []
        self._thread = 0
        self.drops: Sequence[object] = ()
        self.watch: Operators | None = None
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
        self._clear()
        # They lead back to the observer: a cycle that would keep all of a run's copies until the next collection.
        self._listeners, self.watch, self.drops = Listeners(), None, ()

    # ------------------------------------------------------------------------------------------------ what is running

    def running(self) -> nn.Module | None:
        """The innermost running module, registered or not."""
        return self._stack[-1].module if self._stack else None

    def owner(self) -> nn.Module | None:
        """The innermost running module that is in the tree."""
        return next((entry.module for entry in reversed(self._stack) if entry.row >= 0), None)

    def begin(self, drops: Sequence[object] = ()) -> None:
        """Another forward begins. ``drops`` will hold what it is known to drop."""
        self.failed = self._last = None
        self.drops = drops
        self._clear()

    def _clear(self) -> None:
        while self._stack:
            self._stack.pop().forget()

    # ---------------------------------------------------------------------------------------------------- the hooks

    # After each of the model's operators the processor's caches hold its data, so that what these two do is slow in
    # proportion to how much code it is: the usual case goes straight through.

    def _enter_module(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        row = self._rows.index_of(module)
        if threading.get_ident() != self._thread:
            if row >= 0 and self.capturing:
                # Modes and the stack of running modules are per thread: what happens there is out of sight.
                self.captures.setdefault(row, Capture(unseen=Clause("other-thread")))
            return
        entry = _Running(module, row, time.perf_counter(), len(self.drops), sys.exc_info()[1])
        self._stack.append(entry)
        if module._forward_hooks:
            entry.late = module.register_forward_hook(partial(self._leave_late, entry), always_call=True)
        if self._should_stop():
            raise Cancelled
        if row >= 0 and (self._rows_heard is None or row in self._rows_heard):
            for listener in self._listeners.entered:
                listener(row, module, args)

    def _leave_module(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        now = time.perf_counter()
        stack = self._stack
        if threading.get_ident() != self._thread:
            return
        if not stack or stack[-1].module is not module:
            if not any(entry.module is module for entry in stack):
                return
            while stack[-1].module is not module:  # left by an exception that no hook is called for, caught on the way
                stack.pop().forget()
        if stack[-1].late is None or self._raised(stack[-1]) is not None:
            self._leave(stack[-1], now, args, output)

    def _leave_late(self, entry: _Running, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() == self._thread and self._stack and self._stack[-1] is entry:
            self._leave(entry, time.perf_counter(), args, output)

    @staticmethod
    def _raised(entry: _Running) -> BaseException | None:
        error = sys.exc_info()[1]
        return None if error is entry.raising else error

    def _leave(self, entry: _Running, now: float, args: tuple[Any, ...], output: Any) -> None:
        self._stack.pop()
        entry.forget()
        error = self._raised(entry)
        if error is not None:
            self._note_failure(error, entry)
            return
        row, module = entry.row, entry.module
        if row < 0 or self._rows_heard is None or row in self._rows_heard:
            for listener in self._listeners.left:
                listener(row, module, args, output, entry.known)
        if row >= 0 and self.capturing:
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
        tensor = output if isinstance(output, torch.Tensor) else first_tensor(output)
        if tensor is None:
            capture.unseen = Clause("no-tensor-output", {"type": type(output).__name__})
            return
        capture.shape, capture.dtype = () if tensor.is_nested else tuple(tensor.shape), _name(tensor.dtype)
        capture.requires_grad, capture.is_inference = tensor.requires_grad, tensor.is_inference()
        # The dispatch mode is not to see what we do with it; autograd does not, since it is detached first.
        with torch._C._DisableTorchDispatch():
            taken = self._sample(capture, entry.row, tensor)
        self._last = None
        if taken is not None and self.watch is not None:
            self._last = weakref.ref(tensor), self.watch.operators, taken

    def _sample(self, capture: Capture, row: int, tensor: torch.Tensor) -> Taken | None:
        """Read the tensor, or take over what is known of it; None where that says nothing of other modules' outputs."""
        closely = row == self._detail
        known = None if closely else self._known(tensor)
        sample = capture.sample or Sample()
        if known is not None and sample.step in (0, known.step):
            sample.add(known)
            capture.sample = sample
            return known
        try:
            readable = is_readable(tensor)
            taken = sample.take(tensor, tensor.numel() if closely else self._limit) if readable else None
        except RuntimeError:  # packed values, a storage that was given back: nothing that the model is to hear of
            readable = False
        if not readable:
            capture.unseen = Clause("not-readable", {"type": type(tensor).__name__, "dtype": capture.dtype})
            return None
        capture.sample = sample
        return None if closely else taken

    def _known(self, tensor: torch.Tensor) -> Taken | None:
        """What the tensor shows, if that follows from what was read last: a container hands on what its last module
        put out, or all that has run since is one ``relu_`` on it."""
        last, watch = self._last, self.watch
        if last is None or watch is None or last[0]() is not tensor:
            return None
        since = watch.operators - last[1]
        if since == 0:
            return last[2]
        return last[2].rectified() if since == 1 and watch.rectified == (id(tensor), watch.operators) else None


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
