"""How a model process ended, in a sentence that a person can act on."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication


def _tr(text: str) -> str:
    return QCoreApplication.translate("Outcome", text)


@dataclass(frozen=True)
class Outcome:
    """End state of the model process. ``code`` is the exit status, or the signal's number where ``crashed``."""

    code: int
    crashed: bool
    wanted: bool = False
    """Whether the window itself ended it."""
    problem: str = ""
    """What went wrong with the conversation, where it was that."""
    greeted: bool = True
    """Whether it said that it is a model process before it ended."""
    started: bool = True
    """False: the process could not even be started."""

    @property
    def sentence(self) -> str:
        """What happened and what to do."""
        return " ".join(part for part in (self._what(), self._next()) if part)

    def _what(self) -> str:
        if self.problem:
            return self.problem
        if not self.started:
            return _tr("The model process could not be started: the Python interpreter was not found.")
        if not self.greeted and not self.wanted:
            return _tr(
                "The model process did not come up: its interpreter needs Python 3.11 or later with modelight, "
                "torch 2.6 or later, numpy, msgspec and safetensors. The console says what is missing."
            )
        if not self.crashed:
            return _tr(
                "The model process ended by itself with exit status {code}: the model's code ended Python."
            ).format(code=self.code)
        name = _signal_name(self.code)
        if name == "SIGKILL":
            return _tr("The model process was killed (SIGKILL); where memory is short, the system does that.")
        if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"):
            return _tr("The model process crashed ({name}) in compiled code.").format(name=name)
        return _tr("The model process was ended by {name}.").format(name=name)

    def _next(self) -> str:
        if not self.greeted:
            return ""
        if not self.started:
            return _tr("Check the interpreter and start again.")
        return _tr("Restart brings back the model with the same modes, inputs and selection.")


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code).name
    except ValueError:
        return _tr("error {code}").format(code=code)
