"""Exceptions as the window hears of them: a kind, the original type and message, and the person's own frames first."""

from __future__ import annotations

import traceback
from pathlib import Path

from modelight.engine.errors import EngineError
from modelight.protocol import Failure, plain

_OURS = str(Path(__file__).resolve().parents[1])
MAX_TEXT = 200_000


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
        message=plain(_text(error))[:MAX_TEXT],
        traceback=plain(_trace(error))[:MAX_TEXT],
        clause=clause,
        module=module,
    )


def _origin(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, EngineError) and error.__cause__ is not None else error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # a user's exception class whose __str__ raises
        return f"{type(error).__name__} (its message cannot be shown: {type(broken).__name__})"


def _trace(error: BaseException) -> str:
    """The original's traceback without the engine's own frames, which tell the person nothing."""
    origin = _origin(error)
    try:
        formatted = traceback.TracebackException.from_exception(origin, limit=None)
    except Exception as broken:
        return f"The traceback cannot be shown: {type(broken).__name__}"
    kept = [frame for frame in formatted.stack if not frame.filename.startswith(_OURS)]
    if kept and not isinstance(origin, EngineError):
        formatted.stack = traceback.StackSummary.from_list(kept)
    return "".join(formatted.format())
