"""Hearing who reads and writes training flags: a data descriptor on ``nn.Module`` for the length of one run.

An instance's ``__dict__`` holds the flag; a data descriptor on the class wins over it, so every read and write of
``module.training`` passes here, while pickling and ``vars()`` see what they always saw. When the last listener leaves,
the descriptor is deleted and attribute access is what it was. Out of reach, as the notes of :mod:`structure` say:
scripted modules, and classes whose ``training`` is a property of their own.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import nn

from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause

# With the separator: torchvision's directory begins like torch's.
_QUIET = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parents[1]}{os.sep}")


@dataclass(frozen=True)
class FlagRead:
    """A line that read a module's flag."""

    path: str
    source: str
    """``file:line``."""
    count: int


@dataclass(frozen=True)
class FlagWrite:
    """A line that wrote a module's flag, once."""

    path: str
    source: str
    training: bool


class Listener:
    """What was heard; complete when the context has ended."""

    def __init__(self, rows: Rows) -> None:
        # Modules of the tree, and those in plain lists: they live as long as ``rows``, so that an id means one module.
        self._rows = rows
        self._paths = {key: rows.paths[places[0]] for key, places in rows.skeleton.places.items()}
        self._paths |= {id(item.module): item.where for item in rows.hidden}
        self._reads: Counter[tuple[int, CodeType, int]] = Counter()
        self.writes: list[FlagWrite] = []
        self.deaf: Clause | None = None
        """Why nothing could be heard, where nothing could."""

    @property
    def reads(self) -> list[FlagRead]:
        """Reads in code outside torch, in the order in which each line was first heard."""
        return [
            FlagRead(self._paths[module], f"{code.co_filename}:{line}", count)
            for (module, code, line), count in self._reads.items()
        ]

    def _on_read(self, module: nn.Module, code: CodeType, line: int) -> None:
        if id(module) in self._paths:
            self._reads[id(module), code, line] += 1

    def _on_write(self, module: nn.Module, source: str, training: bool) -> None:
        if id(module) in self._paths:
            self.writes.append(FlagWrite(self._paths[id(module)], source, training))


_BUDGET = 200 if sys.version_info >= (3, 13) else sys.maxsize
"""How often the descriptor may be put on in one process.

From Python 3.13 on a class that was changed 1000 times (Objects/typeobject.c, MAX_VERSIONS_PER_CLASS) loses its
attribute cache for good, and so do its subclasses: lookups took five times as long. An outer context around many runs
costs one."""

_listeners: list[Listener] = []
_installed = 0
_quiet_code: dict[CodeType, bool] = {}


def _is_quiet(code: CodeType) -> bool:
    known = _quiet_code.get(code)
    if known is None:
        known = _quiet_code[code] = code.co_filename.startswith(_QUIET)
    return known


class _Flag:
    """The data descriptor. The flag itself stays in the instance's ``__dict__``."""

    def __get__(self, module: nn.Module | None, owner: type) -> Any:
        if module is None:
            # As if the class had no such attribute, which it has not.
            raise AttributeError(f"type object {owner.__name__!r} has no attribute 'training'")
        try:
            value = module.__dict__["training"]
        except KeyError:
            # AttributeError makes Python go on to __getattr__, where scripted modules answer.
            raise AttributeError(f"{type(module).__name__!r} object has no attribute 'training'") from None
        frame = sys._getframe(1)
        if not _is_quiet(frame.f_code):
            for listener in _listeners:
                listener._on_read(module, frame.f_code, frame.f_lineno)
        return value

    def __set__(self, module: nn.Module, value: bool) -> None:
        module.__dict__["training"] = value
        for listener in _listeners:
            listener._on_write(module, _caller(), value)

    def __delete__(self, module: nn.Module) -> None:
        if module.__dict__.pop("training", None) is None:
            raise AttributeError("training")


def _caller() -> str:
    """The first frame outside torch: the line that called ``train()``, say."""
    frame = sys._getframe(2)
    while frame.f_back is not None and _is_quiet(frame.f_code):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


@contextmanager
def flag_reads(rows: Rows) -> Iterator[Listener]:
    """Listen to every read and write of a training flag of the model's modules by code outside torch.

    Contexts may be nested; each hears what happens within it. Reads from all threads are heard. On Python ≥ 3.13 the
    number of outermost contexts is limited; beyond it the listener is ``deaf``.
    """
    global _installed
    listener = Listener(rows)
    if not _listeners:
        if _installed >= _BUDGET:
            listener.deaf = Clause("listening-spent", {"count": _installed})
            yield listener
            return
        _installed += 1
        nn.Module.training = _Flag()  # type: ignore[assignment]
    _listeners.append(listener)
    try:
        yield listener
    finally:
        _listeners.remove(listener)
        if not _listeners:
            del nn.Module.training
