"""Questions to the model process and their answers: who asked what, and what to do with each reply."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from modelight import protocol as p
from modelight.client import Client
from modelight.phrases import phrase
from modelight.problems import problem_of

Reply = Callable[[p.Event], None]
Decline = Callable[[p.Failure], bool]


class Conversation(QObject):
    """Pairs every command with its reply. A failure that nobody deals with becomes a :attr:`problem`."""

    progress = Signal(str, object)
    """What is being done, and the fraction or None; an empty text: nothing any more."""
    refused = Signal()
    """A command failed: the states are what they were."""
    problem = Signal(object)
    """:class:`~modelight.problems.Problem`"""
    unasked = Signal(object)
    """An event that answers no command."""
    console = Signal(str)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._waiting: dict[int, Reply] = {}
        client.received.connect(self._on_event)
        client.console.connect(self.console)

    def new_id(self) -> int:
        """The id for the next command."""
        return self._client.new_id()

    def ask(self, command: p.Command, then: Reply, otherwise: Decline | None = None) -> int:
        """Send a command; ``then`` gets its reply.

        ``otherwise`` gets a failure first, and returns True where it dealt with it.
        """

        def answer(event: p.Event) -> None:
            if not isinstance(event, p.Failure):
                then(event)
            elif otherwise is None or not otherwise(event):
                self._fail(event)

        self._waiting[command.id] = answer
        self._client.send(command)
        return command.id

    def cancel(self, command_id: int) -> None:
        """Ask the engine to end a command at the next module it reaches."""
        self._client.send(p.Cancel(id=self.new_id(), target=command_id))

    def cancel_all(self) -> None:
        """Ask the engine to give up everything that is under way."""
        for command_id in list(self._waiting):
            self.cancel(command_id)

    def forget(self) -> None:
        """Nobody waits for the answers any more: the process is gone, or another one is meant."""
        self._waiting.clear()
        self.progress.emit("", None)

    def _fail(self, failure: p.Failure) -> None:
        self.progress.emit("", None)
        self.refused.emit()
        if failure.kind != "cancelled":
            self.problem.emit(problem_of(failure))

    def _on_event(self, event: p.Event) -> None:
        if isinstance(event, p.Progress):
            if event.id in self._waiting:
                self.progress.emit(phrase(event.what), event.fraction)
        elif (answer := self._waiting.pop(event.id, None)) is not None:
            answer(event)
            if not self._waiting:
                self.progress.emit("", None)
        elif isinstance(event, p.Failure):
            self._fail(event)
        else:
            self.unasked.emit(event)
