"""Commands as they arrive, read on a thread of their own so that *Cancel* and the window's end are noticed during a
run."""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Any

from modelight.engine.process.stdio import Pipe, end_process
from modelight.protocol import Cancel, CommandMessage, Decoder, ProtocolError

PROTOCOL = 3
"""Exit status of a process that was sent what it cannot read."""


class Inbox:
    """A queue of commands; :meth:`is_cancelled` may be asked from the thread that works on one."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled: set[int] = set()

    def start(self) -> None:
        threading.Thread(target=self._read, name="modelight-commands", daemon=True).start()

    def next(self) -> Any:
        """The next command; waits for it."""
        return self._queue.get()

    def put(self, command: Any) -> None:
        """Take a command in; Cancel is acted upon at once."""
        if isinstance(command, Cancel):
            self._cancelled.add(command.target)
        else:
            self._queue.put(command)

    def is_cancelled(self, command_id: int) -> bool:
        return command_id in self._cancelled

    def forget(self, command_id: int) -> None:
        """The command has ended; a Cancel for it that comes late means nothing."""
        self._cancelled = {target for target in self._cancelled if target > command_id}

    def _read(self) -> None:
        decoder = Decoder(CommandMessage)
        while data := self._pipe.read():
            try:
                for command in decoder.feed(data):
                    self.put(command)
            except ProtocolError as error:
                print(f"Modelight's model process stops: {error}", file=sys.stderr)  # noqa: T201
                os._exit(PROTOCOL)  # the window ends what is left of the group
        end_process()
