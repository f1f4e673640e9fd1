"""Single forwards under chosen flags, seed and grad mode, each of which leaves no trace: what every experiment is
made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn

from modelight.engine import flag, rng
from modelight.engine.batches import Batch
from modelight.engine.errors import Cancelled, EngineError, ShouldStop, never_stop
from modelight.engine.guard import leave_no_trace
from modelight.engine.rows import Rows
from modelight.protocol import GradMode

Flags = Mapping[str, bool]
"""Training flags by path, for the length of one forward; paths that are left out keep theirs."""

Heard = Callable[[int, nn.Module, Any, Any], None]
"""Called after each module's forward with its first row, itself, its positional arguments and what it returned."""

_GRAD_MODES: dict[GradMode, Callable[[], AbstractContextManager[object]]] = {
    "enabled": torch.enable_grad,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@dataclass
class Trials:
    """A model and how to run it. Every forward starts from the same parameters, buffers and flags."""

    model: nn.Module
    rows: Rows
    grad_mode: GradMode = "no_grad"
    should_stop: ShouldStop = never_stop
    seconds: float = 0.0
    """How long the last forward took, guard included."""

    def forward(
        self, batch: Batch, *, seed: int, flags: Flags | None = None, heard: Heard | None = None
    ) -> list[tuple[str, torch.Tensor]]:
        """The tensors that the model returns for ``batch``, by name as in a frame, detached copies on the CPU.

        Raises:
            Cancelled: ``should_stop`` said so before the forward, or at one of its modules.
            EngineError: the model raised; its exception is the cause.
        """
        if self.should_stop():
            raise Cancelled
        started = time.perf_counter()
        with leave_no_trace(self.model):
            _write(self.rows, flags or {})
            rng.seed(seed)
            with _GRAD_MODES[self.grad_mode](), self._listening(heard):
                output = self._call(batch)
            named = [(name, tensor.detach().cpu().clone()) for name, tensor in tensors(output)]
        self.seconds = time.perf_counter() - started
        return named

    def _call(self, batch: Batch) -> Any:
        try:
            return self.model(*batch.args, **batch.kwargs)
        except (EngineError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise EngineError(f"The model raised {type(error).__name__}: {error}", kind="run") from error

    @contextmanager
    def _listening(self, heard: Heard | None) -> Iterator[None]:
        """Hooks on every module that takes them. They switch fused paths off: results move in their last digits."""
        handles = []
        try:
            for index, module in self.own_rows() if heard is not None else ():
                handles.append(module.register_forward_hook(self._hook(index, heard)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, index: int, heard: Heard | None) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if self.should_stop():
                raise Cancelled
            if heard is not None:
                heard(index, module, args, output)

        return hook

    def own_rows(self) -> Iterator[tuple[int, nn.Module]]:
        """Each module that takes hooks, once, with its first row. Scripted modules take none."""
        for index, module in enumerate(self.rows.modules):
            if self.rows.index_of(module) == index and not isinstance(module, torch.jit.ScriptModule):
                yield index, module


def _write(rows: Rows, flags: Flags) -> None:
    for path, training in flags.items():
        flag.write(rows.modules[rows.by_path(path)], training)


def all_flags(rows: Rows, training: bool) -> dict[str, bool]:
    """Every module that has a flag, in one mode."""
    return {
        path: training for path, module in zip(rows.paths, rows.modules, strict=True) if flag.read(module) is not None
    }


def tensors(output: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in what a model returned, walked through dicts, sequences and dataclasses: ``logits``,
    ``[0].boxes``."""
    if isinstance(output, torch.Tensor):
        yield name, output
        return
    if isinstance(output, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), value) for key, value in output.items()]
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        parts = [(f"{name}.{key}" if name else key, getattr(output, key)) for key in output._fields]
    elif isinstance(output, (list, tuple)):
        parts = [(f"{name}[{index}]", value) for index, value in enumerate(output)]
    elif is_dataclass(output) and not isinstance(output, type):
        parts = [(f"{name}.{part.name}" if name else part.name, getattr(output, part.name)) for part in fields(output)]
    else:
        return
    for key, value in parts:
        yield from tensors(value, key)
