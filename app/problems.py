"""Failures of the model process as a person reads them: one sentence that says what to do, the traceback apart."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from modelight.phrases import phrase
from modelight.protocol import Clause, Failure


def _tr(text: str) -> str:
    return QCoreApplication.translate("Problem", text)


@dataclass(frozen=True)
class Problem:
    """What went wrong. ``details`` is the traceback, shown on request."""

    sentence: str
    details: str = ""
    kind: str = "internal"
    module: str | None = None
    fatal: bool = False
    """The model process is gone; *Restart* is what helps."""
    clause: Clause | None = None
    """What the engine said, where it had a sentence of its own: its figures tell what could be done."""


def problem_of(failure: Failure) -> Problem:
    """The problem that a failure tells of."""
    return Problem(_sentence(failure), failure.traceback, failure.kind, failure.module, clause=failure.clause)


def _sentence(failure: Failure) -> str:
    if failure.clause is not None and failure.kind != "run":
        return phrase(failure.clause)
    if failure.kind == "run":
        first = failure.message.strip().splitlines()[0] if failure.message.strip() else failure.type
        said = f" in {failure.module}" in first if failure.module else first.startswith("The model ")
        if said:  # where it was, by the engine's own sentence
            told = _tr("The run stopped. {message}").format(message=_ended(first))
        else:
            where = f"“{failure.module}”" if failure.module else _tr("the model")
            told = _tr("The run stopped in {where}: {message}").format(where=where, message=_ended(first))
        return f"{told} {phrase(failure.clause)}" if failure.clause is not None else told
    if failure.kind == "internal":
        return _tr("Modelight itself failed ({type}: {message}). The details help to mend it.").format(
            type=failure.type, message=failure.message
        )
    return _ended(failure.message)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", "。")) else text + "."
