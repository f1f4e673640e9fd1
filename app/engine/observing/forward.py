"""One observed forward: the model runs as it would alone, and everything that wants to know is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelight import protocol
from modelight.engine.batches import Batch
from modelight.engine.errors import Cancelled, EngineError, ShouldStop, is_out_of_memory, never_stop, said
from modelight.engine.modules import explain, structure
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import rng
from modelight.engine.observing.autograd import SavedTensors
from modelight.engine.observing.dispatch import make_watch
from modelight.engine.observing.idle import INNER, idle_calls
from modelight.engine.observing.masks import DROPOUTS, Drop, MaskRecorder
from modelight.engine.observing.memory import Memory
from modelight.engine.observing.norms import NormRecorder
from modelight.engine.observing.outputs import fields
from modelight.engine.observing.probes import Capture, Listeners, Probes
from modelight.protocol import GradMode

_GRAD_MODES: dict[GradMode, Callable[[], AbstractContextManager[Any]]] = {
    "enabled": torch.enable_grad,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@contextmanager
def grad_mode(mode: GradMode) -> Iterator[None]:
    """Enter a grad mode, whatever the mode outside is."""
    with torch.inference_mode(False), _GRAD_MODES[mode]():
        yield


@dataclass
class Forward:
    """What one forward was seen to do."""

    output: Any
    seconds: float
    drops: list[Drop]
    drew: list[str]
    autograd: protocol.Autograd
    wrote_input: bool


class Observer:
    """A context in which forwards are observed. Hooks are set once for all of them.

    Args:
        memory: of the guard around; it is told of writes.
        norms: statistics of batches; None where nobody wants them.
    """

    def __init__(
        self,
        rows: Rows,
        memory: Memory,
        *,
        mode: GradMode,
        norms: NormRecorder | None = None,
        detail: int = -1,
        sample_limit: int | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> None:
        self._rows = rows
        self._model: nn.Module = rows.modules[0]
        self._memory = memory
        self._mode: GradMode = mode
        self._norms = norms
        self._has_compiled = any(map(structure.is_compiled, rows.modules))
        kinds = (DROPOUTS, *INNER)
        heard = {row for row, module in enumerate(rows.modules) if isinstance(module, kinds)}
        listeners = Listeners(left=[self._left], rows=heard)
        if norms is not None:
            heard |= norms.rows
            listeners.entered.append(self._entered_norm)
        limits = {} if sample_limit is None else {"sample_limit": sample_limit}
        self._probes = Probes(rows, detail=detail, should_stop=should_stop, listeners=listeners, **limits)
        self._masks = MaskRecorder(self._probes.running, self._probes.owner)

    def __enter__(self) -> Observer:
        self._probes.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._probes.__exit__(*error)

    @property
    def captures(self) -> dict[int, Capture]:
        """By row: what the modules put out since the last :meth:`start`."""
        return self._probes.captures

    def start(self, *, capturing: bool) -> None:
        """A repeat begins. Where not ``capturing``, modules are followed, but their outputs are not read."""
        self._probes.captures = {}
        self._probes.capturing = capturing
        if self._norms is not None:
            self._norms.start()

    def run(self, batch: Batch, read: Callable[[Any], None] | None = None) -> Forward:
        """Run one batch. ``read`` is given the output before inputs that the model wrote to are put back.

        Raises:
            Cancelled: at the next module that was entered, when the caller asked to stop.
            EngineError: ``run``, or ``memory``; the model's own exception is the cause.
        """
        self._masks = MaskRecorder(self._probes.running, self._probes.owner)
        self._probes.begin(self._masks.drops)
        given = [tensor for _, tensor in fields((batch.args, batch.kwargs))]
        memory = Memory()
        held = [memory.add(tensor) for tensor in given]
        before = rng.RngState.now()
        saved = SavedTensors(list(self._model.parameters()) if self._mode == "enabled" else (), given)
        try:
            output, seconds = self._call(batch, saved)
            if read is not None:
                read(output)
        finally:
            wrote = [entry for entry in held if entry.changed]
            if wrote and "output" in locals():
                output = detach_from(output, memory)
            for entry in wrote:
                entry.restore()
        return Forward(output, seconds, self._masks.drops, before.moved(), saved.result(), bool(wrote))

    def _call(self, batch: Batch, saved: SavedTensors) -> tuple[Any, float]:
        watch = self._probes.watch = make_watch(
            self._masks, self._memory, self._on_norm, has_compiled=self._has_compiled
        )
        try:
            with ExitStack() as stack:
                stack.enter_context(grad_mode(self._mode))
                if self._mode == "enabled":
                    stack.enter_context(saved)
                stack.enter_context(watch)
                stack.enter_context(idle_calls(self._masks.idle))
                began = time.perf_counter()
                output = self._model(*batch.args, **batch.kwargs)
                return output, time.perf_counter() - began
        except (Cancelled, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise self._failure(error) from error
        finally:
            watch.close()
            self._probes.watch = None

    def _failure(self, error: BaseException) -> EngineError:
        failed = self._probes.failed
        path = failed[1] if failed is not None else ""
        if is_out_of_memory(error):
            return EngineError(
                f"Not enough memory{f' in {path}' if path else ''}: {said(error)}", kind="memory", module=path
            )
        if isinstance(error, SystemExit):
            return EngineError(f"The model called sys.exit({error.code!r})", kind="run", module=path)
        where = f" in {path}" if path else ""
        reason = explain.failure(self._rows.modules[self._rows.by_path(path)], error)
        words = said(error)
        message = f"The model raised {type(error).__name__}{where}" + (f": {words}" if words else "")
        return EngineError(message, kind="run", module=path, clause=reason)

    # ---------------------------------------------------------------------------------------------------- listening

    def _entered_norm(self, row: int, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._norms is not None and self._probes.capturing:
            self._norms.entered(row, args)

    def _left(self, row: int, module: nn.Module, args: tuple[Any, ...], output: Any, known: int) -> None:
        if row >= 0 and self._norms is not None and self._probes.capturing:
            self._norms.left(row)
        if isinstance(module, DROPOUTS):
            value = args[0] if args and isinstance(args[0], torch.Tensor) else output
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) and not value.is_nested else ()
            self._masks.finish_layer(module, known, shape, row >= 0)
        elif row >= 0 and isinstance(module, INNER):
            self._masks.finish_other(module, args, output)

    def _on_norm(self, values: torch.Tensor, mean: torch.Tensor, inverse: torch.Tensor) -> None:
        if self._norms is not None and self._probes.capturing:
            self._norms.handed_out(self._probes.running(), values, mean, inverse)


def detach_from(output: Any, memory: Memory) -> Any:
    """The output with tensors that look into remembered memory cloned, before that memory is put back."""
    from torch.utils import _pytree

    def own(value: Any) -> Any:
        return value.clone() if isinstance(value, torch.Tensor) and memory.holds(value) else value

    return _pytree.tree_map(own, output)
