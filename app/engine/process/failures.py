"""Exceptions as the window hears of them: a kind, the original type and message, and the person's own frames first."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path

from modelight.engine.errors import EngineError, is_out_of_memory, said, told
from modelight.protocol import Failure, plain

_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_INTERNALS = re.compile(r"^\[enforce fail at [^\]]*\] [^.]*\. ")
MAX_TEXT = 200_000
MAX_SENTENCE = 1_000
"""Longer messages (a dump of a tensor, say) are told by their ends; the traceback holds the whole."""


def failure(command_id: int, error: BaseException) -> Failure:
    """The :class:`Failure` for an exception that ended a command.

    ``type`` and ``message`` are those of the original exception where the engine's own wraps one. Memory that was
    short is told as that, wherever it was; what the person's code raised past every handler is told as its own.
    """
    kind, clause, module, origin = "internal", None, None, _origin(error)
    message = said(error)
    if isinstance(error, EngineError):
        kind, clause, module = error.kind, error.clause, error.module
    elif (place := _place(error)) is not None:
        kind, message = "build", f"The code of the model raised {told(error)} ({place})."
    if kind != "memory" and is_out_of_memory(origin):
        where, words = f" in {module}" if module else "", _INTERNALS.sub("", said(origin))
        kind, clause, message = "memory", None, f"Not enough memory{where}" + (f": {words}" if words else ".")
    return Failure(
        id=command_id,
        kind=kind,
        type=type(origin).__name__,
        message=plain(_shortened(message, MAX_SENTENCE)),
        traceback=plain(_shortened(_trace(error, kind), MAX_TEXT)),
        clause=clause,
        module=module,
    )


def _place(error: BaseException) -> str | None:
    """``file.py:12`` if that is where the exception came from, and it is the person's own; else None."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or is_library(file := frames[-1].filename) or _is_ours(file):
        return None
    return f"{Path(file).name}:{frames[-1].lineno}"


def _origin(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, EngineError) and error.__cause__ is not None else error


def _shortened(text: str, most: int) -> str:
    """A long text by its two ends: a traceback begins with the frames and ends with the error."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-most // 3 :]}"


def _trace(error: BaseException, kind: str) -> str:
    """The original's traceback without the engine's own frames, which tell the person nothing.

    A refusal of the engine's needs none: its sentence says it all. A mistake of the engine's is told with every frame.
    """
    origin = _origin(error)
    if isinstance(origin, EngineError) and kind != "internal":
        return ""
    try:
        formatted = traceback.TracebackException.from_exception(origin)
        if kind != "internal":
            _leave_out_ours(formatted)
        if not formatted.stack and formatted.__cause__ is None and formatted.__context__ is None:
            return "".join(formatted.format_exception_only())
        return "".join(formatted.format())
    except Exception as broken:
        return f"The traceback cannot be shown: {type(broken).__name__}"


def _leave_out_ours(formatted: traceback.TracebackException) -> None:
    """Also of what the exception was raised from, and of what it came in the middle of."""
    frames = [frame for frame in formatted.stack if not _is_ours(frame.filename)]
    formatted.stack = traceback.StackSummary.from_list(frames)
    for other in (formatted.__cause__, formatted.__context__):
        if other is not None:
            _leave_out_ours(other)


def is_library(file: str) -> bool:
    """Python's own modules and installed packages."""
    path = Path(file)
    return (
        bool({"site-packages", "dist-packages"} & set(path.parts))
        or path.is_relative_to(sysconfig.get_path("stdlib"))
        or file.startswith("<")
    )


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib"))
