"""How a model process ended, in a sentence that a person can act on."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

_MISSING = re.compile(r"No module named '?([\w.]+)'?")
_PACKAGES = {"PIL": "pillow"}
"""What is installed where its module has another name."""
_LONGEST = 300


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
    ready: bool = True
    """Whether it had imported torch and said so before it ended: no code of the model has run before that."""
    refusal: str = ""
    """Why the process could not even be started: ``missing``, ``folder``, ``forbidden``, or the system's words."""
    program: str = ""
    """The interpreter, as a person names it."""
    said: str = ""
    """The last of what it wrote to stderr."""

    @property
    def sentence(self) -> str:
        """What happened and what to do."""
        return " ".join(part for part in (self._what(), self._next()) if part)

    def _what(self) -> str:
        if self.problem:
            return self.problem
        if self.refusal:
            return _refused(self.refusal).format(program=self.program or "python")
        if not self.crashed and not self.ready and not self.wanted:
            return self._not_up()
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

    def _not_up(self) -> str:
        """Python's own words say what is missing; they are the same over ssh."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        program = self.program or "python"
        if (missing := _MISSING.search(last)) is not None:
            module = missing[1]
            words = _tr("{program} has no {module}.").format(program=program, module=_PACKAGES.get(module, module))
        elif any("nknown option" in line and "-P" in line for line in lines):
            words = _tr("{program} is older than Python 3.11.").format(program=program)
        elif last:
            words = last[:_LONGEST] + ("" if last.endswith((".", "!", "?")) else ".")
        else:
            words = _tr("{program} ended with exit status {code}, without a word.").format(
                program=program, code=self.code
            )
        return _tr("The model process did not come up: {words}").format(words=words)

    def _next(self) -> str:
        if self.ready or self.wanted:
            return _tr("Restart brings back the model with the same modes, inputs and selection.")
        again = _tr("Restart tries again.")
        if self.problem or self.crashed:
            return again
        needs = _tr(
            "It needs Python 3.11 or later with modelight, torch 2.6 or later, numpy, msgspec, safetensors and pillow; "
            "no Qt."
        )
        return f"{needs} {again}"


def _refused(why: str) -> str:
    sentences = {
        "missing": _tr("The model process could not be started: there is no interpreter {program}."),
        "folder": _tr("The model process could not be started: {program} is a folder; name the interpreter in it."),
        "forbidden": _tr("The model process could not be started: {program} may not be executed."),
    }
    other = _tr("The model process could not be started: {program} is no program that this system runs ({why}).")
    return sentences.get(why) or other.replace("{why}", why.replace("{", "{{").replace("}", "}}"))


def garbage(program: str, text: str) -> str:
    """The sentence where something writes to the stream before the model process has said who it is."""
    return _tr(
        "What {program} wrote first is no message of Modelight's: “{text}”. Whatever it runs at its start "
        "(sitecustomize, the profile of a shell) must write nothing to stdout."
    ).format(program=program, text=text)


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code).name
    except ValueError:
        return _tr("error {code}").format(code=code)
