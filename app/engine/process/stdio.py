"""The engine's ends of the pipe: who may read and write what.

The real stdin and stdout belong to the protocol alone. Everything else in this process, be it ``print``, a C library
or a subprocess, finds the null device where stdin was and stderr where stdout was, so that it can neither swallow a
command nor write into the stream of messages.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import signal
import sys
import threading
from typing import NoReturn

from modelight.protocol import (
    Event,
    Failure,
    ProtocolError,
    encode,
    plain,
)

PR_SET_PDEATHSIG = 1
CLOSED = 5
"""Exit status of a process whose pipe the person's code has closed."""


class _NoKeyboard(io.TextIOBase):
    """What user code finds as ``sys.stdin``: ``input()`` and pdb get a sentence instead of hanging the window."""

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1) -> NoReturn:
        raise RuntimeError(
            "The model process has no keyboard: remove input() or breakpoint() "
            "from the code that builds or runs the model."
        )

    read = readline


class Pipe:
    """Messages out, bytes in. Any thread may :meth:`send`."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._lock = threading.Lock()
        self._identity = _identity(write_fd)
        self._in_child = False
        if hasattr(os, "register_at_fork"):
            # A forked worker of the user's code must not hold the window's pipe open, or speak into it.
            os.register_at_fork(after_in_child=self._close)

    def read(self) -> bytes:
        """What has arrived, at least one byte; empty at the end of the stream."""
        return os.read(self._read_fd, 1 << 16)

    def send(self, event: Event) -> None:
        """Write one event; one that cannot be encoded becomes a :class:`Failure` that can.

        Where the person's code has closed the pipe, nothing more can be said to the window, and the process ends: its
        number may belong to a file of that code by now.
        """
        if self._in_child:
            os._exit(0)  # a fork of the person's code that came back into the engine: its parent goes on
        if _identity(self._write_fd) != self._identity:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                print("The code of the model closed the pipe to the window.", file=sys.stderr)  # noqa: T201
            os._exit(CLOSED)
        try:
            data = encode(event)
        except ProtocolError as error:
            data = encode(
                Failure(id=event.id, kind="internal", type="ProtocolError", message=plain(str(error)), traceback="")
            )
        view = memoryview(data)
        with self._lock:
            while view:
                view = view[os.write(self._write_fd, view) :]

    def _close(self) -> None:
        self._in_child = True
        self._lock = threading.Lock()  # which another thread may have held as it forked
        for fd in (self._read_fd, self._write_fd):
            with contextlib.suppress(OSError):
                os.close(fd)


def _identity(fd: int) -> tuple[int, int] | None:
    """Which file a descriptor stands for; None if none."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def take_over() -> Pipe:
    """Keep the real stdin and stdout for the protocol, and point the process's own at the null device and stderr."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for fd in (read_fd, write_fd):
            msvcrt.setmode(fd, os.O_BINARY)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdin = _NoKeyboard()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return Pipe(read_fd, write_fd)


def die_with_the_window() -> None:
    """On Linux have the kernel end this process when the window dies, even while C code holds the GIL.

    Elsewhere, and besides, the thread that reads commands ends the process at the end of the stream.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process() -> NoReturn:
    """End at once, with every child that the user's code started (they share the process group)."""
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        with contextlib.suppress(OSError):
            os.killpg(0, signal.SIGKILL)
    os._exit(0)
