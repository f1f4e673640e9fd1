"""Undo: the commands of the QUndoStack. Each writes back exactly what the engine said was there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtGui import QUndoCommand

T = TypeVar("T")


class Change(QUndoCommand, Generic[T]):
    """A change that has already happened when it is pushed: the engine did it, and told what was before.

    ``write`` puts a value back; it is called for undo and for every redo but the first.
    """

    def __init__(self, text: str, before: T, after: T, write: Callable[[T], None]) -> None:
        super().__init__(text)
        self._before = before
        self._after = after
        self._write = write
        self._pushed = False

    def undo(self) -> None:
        self._write(self._before)

    def redo(self) -> None:
        if self._pushed:
            self._write(self._after)
        self._pushed = True
