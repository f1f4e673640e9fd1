"""How the engine says that something could not be done: one exception, with what the window needs to phrase it."""

from __future__ import annotations

from collections.abc import Callable

from modelight.protocol import Clause

ReportProgress = Callable[[Clause, float | None], None]
ShouldStop = Callable[[], bool]


class EngineError(Exception):
    """Something a person has to hear of. ``str(error)`` is a sentence that says what to do next.

    ``kind`` is one of :attr:`modelight.protocol.Failure.kind`; ``clause`` lets the window translate the sentence;
    ``module`` is the path of the module concerned. The cause, where there is one, is chained (``raise … from error``).
    """

    def __init__(
        self, message: str, *, kind: str = "internal", clause: Clause | None = None, module: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.clause = clause
        self.module = module


class Cancelled(EngineError):
    """The person asked to stop."""

    def __init__(self) -> None:
        super().__init__("Stopped.", kind="cancelled")


def said(error: BaseException) -> str:
    """What an exception says of itself: a class of the person's code may even fail at that."""
    try:
        return str(error)
    except Exception as broken:
        return f"{type(error).__name__} (its message cannot be shown: {type(broken).__name__})"


def told(error: BaseException) -> str:
    """An exception by its class and its words, where it has any."""
    words = said(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


_FULL = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED", "Invalid buffer size")
"""As CUDA and MPS say it, the CPU on Linux and on Windows, cuBLAS, and MPS again."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, on the host or on a device. torch says so on the host with a plain RuntimeError."""
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    told = isinstance(error, RuntimeError) and any(words in said(error) for words in _FULL)
    return isinstance(error, MemoryError) or named or told


def never_stop() -> bool:
    """For callers that cannot be cancelled."""
    return False


def no_progress(what: Clause, fraction: float | None) -> None:
    """For callers that show no progress."""
