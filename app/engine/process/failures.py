"""Exceptions as the window hears of them: a kind, the original type and message, and the person's own frames first."""

from __future__ import annotations

import traceback
from pathlib import Path

from modelight.engine.errors import EngineError, said
from modelight.protocol import Failure, plain

_OURS = str(Path(__file__).resolve().parents[1])
MAX_TEXT = 200_000
MAX_SENTENCE = 1_000
"""Longer messages (a dump of a tensor, say) are told by their ends; the traceback holds the whole."""


def failure(command_id: int, error: BaseException) -> Failure:
    """The :class:`Failure` for an exception that ended a command.

    ``type`` and ``message`` are those of the original exception where the engine's own wraps one.
    """
    kind = error.kind if isinstance(error, EngineError) else "internal"
    clause = error.clause if isinstance(error, EngineError) else None
    module = error.module if isinstance(error, EngineError) else None
    return Failure(
        id=command_id,
        kind=kind,
        type=type(_origin(error)).__name__,
        message=plain(_shortened(said(error))),
        traceback=plain(_trace(error, kind))[-MAX_TEXT:],
        clause=clause,
        module=module,
    )


def _origin(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, EngineError) and error.__cause__ is not None else error


def _shortened(text: str) -> str:
    if len(text) <= MAX_SENTENCE:
        return text
    return f"{text[: MAX_SENTENCE - 300]} … {text[-300:]}"


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


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib"))
