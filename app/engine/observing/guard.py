"""Leave no trace: put a model back bit for bit after a run, and say what the run would have changed.

Remembered and put back: parameters and buffers (their bytes, which tensor object each name is bound to, and which
storage that looks at), gradients, ``requires_grad``, training flags, hooks, plain attributes as far as they are rebound
or are flat containers, tensors kept in attributes, and every random generator. Version counters are no evidence of a
write (batch norm's running statistics, ``.data`` and numpy move none), so bytes are compared.

A ``train(bool)`` is never used to put flags back: it recurses, flattens mixed modes and may be overridden.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight import protocol
from modelight.engine import collector
from modelight.engine.observing import rng
from modelight.engine.observing.attributes import Attributes
from modelight.engine.observing.memory import Held, Memory
from modelight.engine.observing.writes import WriteWatch
from modelight.protocol import Clause, LedgerEntry

COPIED_PARAMETERS = 25_000_000
"""Elements up to which all parameters are copied; above, a storage is copied just before an operator writes to it."""


class Guard:
    """Made by :func:`leave_no_trace`."""

    @collector.paused()
    def __init__(self, model: nn.Module, keep: bool, watch: bool) -> None:
        self._keep = keep
        self._modules = list(model.named_modules())
        self._rng = rng.RngState.now()
        self._generators = rng.OwnedGenerators(iter(self._modules))
        self._memory = Memory()
        self._attributes = [Attributes(path, module) for path, module in self._modules]
        self._grads: list[tuple[str, torch.Tensor, torch.Tensor | None]] = []
        with torch.inference_mode(False), torch.no_grad():
            self._held = list(self._remember())
        # What the run has changed, found by _compare.
        self._touched: list[Attributes] = []
        self._changed: list[tuple[str, str, Held]] = []
        self._switched: list[tuple[str, str, Held]] = []
        self._regraded: list[tuple[str, torch.Tensor, torch.Tensor | None]] = []
        self._drawn: list[str] | None = None
        self._ledger: protocol.Ledger | None = None
        self._mode = WriteWatch(self._memory) if watch and self._memory.waits_for_writes else None

    def _remember(self) -> Iterator[tuple[str, str, Held]]:
        distinct: dict[int, tuple[str, str, torch.Tensor]] = {}
        for entry in self._tensors():
            if not is_lazy(entry[2]):
                distinct.setdefault(id(entry[2]), entry)
        lazily = sum(tensor.numel() for _, _, tensor in distinct.values()) > COPIED_PARAMETERS
        for name, kind, tensor in distinct.values():
            yield name, kind, self._memory.hold(tensor, lazily and kind == "parameter")
            if tensor.is_leaf and not tensor.is_inference():
                grad = tensor.grad
                self._grads.append((name, tensor, grad))
                if grad is not None:
                    yield name, "grad", self._memory.hold(grad, lazily)

    def _tensors(self) -> Iterator[tuple[str, str, torch.Tensor]]:
        for path, module in self._modules:
            dot = f"{path}." if path else ""
            for kind, table in (("parameter", module._parameters), ("buffer", module._buffers)):
                for key, tensor in table.items():
                    if tensor is not None:
                        yield dot + key, kind, tensor
        for attributes in self._attributes:
            yield from attributes.tensors()

    # ------------------------------------------------------------------------------------------------ during the run

    @property
    def memory(self) -> Memory:
        """For a caller that watches writes with a dispatch mode of its own."""
        return self._memory

    def drew(self, names: list[str]) -> None:
        """Say which global generators the run drew from; else every one that was moved counts, by seeding too."""
        self._drawn = sorted({*(self._drawn or ()), *names})

    def __enter__(self) -> Guard:
        if self._mode is not None:
            self._mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mode is not None:
            self._mode.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        with torch.inference_mode(False), torch.no_grad():
            self._find_changes()
            try:
                self._ledger = self._compare()
            finally:  # whatever cannot be told is put back all the same
                if self._keep:
                    self._make_ordinary()
                else:
                    self._restore()
                self._restore_always()

    def ledger(self) -> protocol.Ledger:
        """What the run changed, or would have; to be asked after the run.

        Raises:
            RuntimeError: the run is not over.
        """
        if self._ledger is None:
            raise RuntimeError("The ledger is written when the guarded run is over.")
        return self._ledger

    # ---------------------------------------------------------------------------------------------------- comparing

    def _find_changes(self) -> None:
        self._touched = [attributes for attributes in self._attributes if attributes.touched()]
        self._changed = [entry for entry in self._held if entry[2].changed]
        self._switched = [entry for entry in self._held if entry[2].requires_grad_changed]
        self._regraded = [entry for entry in self._grads if entry[1].grad is not entry[2]]

    def _compare(self) -> protocol.Ledger:
        entries = [self._entry(name, kind, held) for name, kind, held in self._changed]
        rebound = [entry for attributes in self._touched for entry in attributes.compare(self._keep)]
        entries += [entry for entry in rebound if entry.name not in {known.name for known in entries}]
        entries += [LedgerEntry(name, "requires_grad", None, not self._keep) for name, _, _ in self._switched]
        entries += [LedgerEntry(name, "grad", None, True) for name, _, _ in self._regraded]
        drawn = self._rng.moved() if self._drawn is None else self._drawn
        entries += [LedgerEntry(name, "rng", None, True) for name in drawn + self._generators.moved()]
        entries.sort(key=_size)
        return protocol.Ledger(
            kept=self._keep,
            parameters=sum(entry.kind == "parameter" for entry in entries),
            buffers=sum(entry.kind == "buffer" for entry in entries),
            entries=entries[: protocol.LEDGER_ENTRIES],
            notes=[Clause("ledger-cut", {"shown": protocol.LEDGER_ENTRIES, "count": len(entries)})]
            if len(entries) > protocol.LEDGER_ENTRIES
            else [],
        )

    def _entry(self, name: str, kind: str, held: Held) -> LedgerEntry:
        if held.is_copied:
            return LedgerEntry(name, kind, held.change(), restored=not self._keep)
        return LedgerEntry(name, kind, None, restored=False, note=None if self._keep else Clause("write-seen-too-late"))

    # ---------------------------------------------------------------------------------------------------- restoring

    def _restore(self) -> None:
        for attributes in self._touched:
            attributes.restore()
        for _, _, held in (*self._changed, *self._switched):
            held.restore()

    def _restore_always(self) -> None:
        for attributes in self._touched:
            attributes.restore_flag()
        for _, tensor, grad in self._regraded:
            tensor.grad = grad
        self._generators.restore()
        self._rng.restore()

    def _make_ordinary(self) -> None:
        # An inference tensor that stays would make every later run with gradients fail.
        for attributes in self._touched:
            attributes.make_ordinary()


def leave_no_trace(model: nn.Module, *, keep: bool = False, watch: bool = True) -> Guard:
    """A context in which ``model`` may run: afterwards all is as before, bit for bit, also after an exception.

    Args:
        keep: let changes of parameters, buffers and attributes stand (flags, gradients and generators are put back).
        watch: False where the caller announces writes to ``guard.memory`` itself.
    """
    return Guard(model, keep, watch)


def _size(entry: LedgerEntry) -> tuple[bool, bool, float]:
    """What is lost comes first: it is never to be among those that are left out."""
    return entry.note is None, entry.kind not in ("parameter", "buffer"), -(entry.max_change or 0.0)
