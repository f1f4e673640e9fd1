"""The window's end of the pipe: owns the QProcess in which the model lives, and nothing else does.

Typed messages in and out, console text apart, and one :class:`~modelight.outcome.Outcome` when it is over.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from modelight import protocol as p
from modelight.outcome import Outcome, garbage

ENGINE = ("-P", "-m", "modelight.engine")
WELCOME_BYTES = 4096
"""More than the first message takes: a stream that announces more begins with something else."""
PATIENCE_MS = 1500
"""How long the code that builds a model may take to notice that it is cancelled, before its process is ended."""
TAIL = 4000
"""How many characters of the console are kept, to say why a process did not come up."""


def engine_command(python: str = "", host: str = "", ssh: str = "ssh") -> list[str]:
    """What to start: this interpreter's engine, another one's, or that of ``host`` over ``ssh``.

    The other interpreter needs Python 3.11 or later with modelight, torch 2.6 or later, numpy, msgspec, safetensors
    and pillow; it needs no Qt.
    """
    if not host:
        # A shell leaves the ~ of --python=~/env/bin/python as it is.
        return [str(Path(python).expanduser()) if python.startswith("~") else python or sys.executable, *ENGINE]
    # No terminal: the pipe must carry bytes as they are. The host's own shell finds the interpreter.
    return [*shlex.split(ssh), "-T", host, f"{_quoted(python or 'python3')} {shlex.join(ENGINE)}"]


def _quoted(path: str) -> str:
    """For the host's shell, which puts its home in the place of a ~ that is not quoted."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _interpreter(command: Sequence[str]) -> str:
    """The interpreter in a command of :func:`engine_command`, as a person names it."""
    engine = shlex.join(ENGINE)
    if len(command) > 2 and command[-1].endswith(engine):
        return f"{command[-2]}:{command[-1].removesuffix(engine).strip()}"
    return command[0]


class Client(QObject):
    """Starts a model process and talks to it. After :attr:`ended` it can be started again."""

    received = Signal(object)
    """Every event but Welcome, in the order in which they came."""
    console = Signal(str)
    """What the process wrote to stderr, and to stdout past Python."""
    ended = Signal(object)
    """The :class:`Outcome`."""

    def __init__(self, parent: QObject | None = None, command: Sequence[str] | None = None) -> None:
        """``command`` is what to start in place of this interpreter's own engine."""
        super().__init__(parent)
        self._command = list(command) if command else engine_command()
        self._process: QProcess | None = None
        self._decoder = p.Decoder(p.EventMessage)
        self._text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._next_id = 0
        self._wanted = False
        self._group = 0
        self._problem = ""
        self._head = b""
        self._said = ""
        self._greeted = self._ready = False
        self._opening = 0
        """Id of the Open that is under way."""
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self._give_up)

    @property
    def pid(self) -> int:
        """Process id, 0 when none runs."""
        return self._process.processId() if self._process is not None else 0

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start the process and greet it; what it says comes through the signals."""
        self._decoder = p.Decoder(p.EventMessage)
        self._text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._wanted, self._problem, self._head, self._said = False, "", b"", ""
        self._greeted = self._ready = False
        self._opening = 0
        self._patience.stop()
        process = QProcess(self)
        # Of its own session: Ctrl+C in the terminal must not end it with the window's group, and its children end
        # with it.
        if sys.platform != "win32":
            parameters = QProcess.UnixProcessParameters()
            parameters.flags = QProcess.UnixProcessFlag.CreateNewSession
            process.setUnixProcessParameters(parameters)
        process.setProcessEnvironment(_environment())
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_console)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.started.connect(self._on_started)
        process.start(self._command[0], self._command[1:])
        self.send(p.Hello(id=self.new_id()))

    def new_id(self) -> int:
        """The id for the next command."""
        self._next_id += 1
        return self._next_id

    def send(self, command: p.Command) -> None:
        """Send a command; without a process there is nobody to answer, and nothing happens.

        A Cancel of what opens a model ends the process where it does not stop by itself: there is nothing in it yet
        that could be lost, and an import may well never come to an end.
        """
        if self._process is None:
            return
        self._process.write(p.encode(command))
        if isinstance(command, p.Open):
            self._opening = command.id
        elif isinstance(command, p.Cancel) and command.target == self._opening:
            self._patience.start(PATIENCE_MS if self._ready else 0)

    def stop(self) -> None:
        """End the process and its children now. :attr:`ended` follows with ``wanted``."""
        if self._process is None:
            return
        self._wanted = True
        self._kill()

    def _give_up(self) -> None:
        """End the process that does not stop opening, and answer in its place."""
        if self._process is not None and self._opening:
            failure = p.Failure(id=self._opening, kind="cancelled", type="Cancelled", message="Stopped.")
            self._opening = 0
            self.stop()
            self.received.emit(failure)

    def close(self) -> None:
        """End it and wait until it is gone; for the end of the window."""
        process = self._process
        if process is None:
            return
        process.blockSignals(True)
        self._kill()
        process.waitForFinished(3000)
        self._process = None
        self._patience.stop()

    def _kill(self) -> None:
        assert self._process is not None
        self._end_group()
        self._process.kill()

    def _on_started(self) -> None:
        self._group = self._process.processId() if self._process is not None else 0

    def _end_group(self) -> None:
        """End the process's children too: workers of a model that crashed would live on."""
        if sys.platform != "win32" and self._group:
            with contextlib.suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)
            self._group = 0  # the number may be another's by the next time

    def _on_output(self) -> None:
        if self._process is None:
            return
        data = bytes(self._process.readAllStandardOutput().data())
        try:
            self._look_at_head(data)
            for event in self._decoder.feed(data):
                self._take(event)
        except p.ProtocolError as error:
            self._problem = str(error)
            self._kill()

    def _look_at_head(self, data: bytes) -> None:
        """The first message is short. Text that begins with a line feed would pass for a long one that never ends."""
        if self._greeted:
            return
        self._head = (self._head + data)[:200]
        if len(self._head) >= 4 and int.from_bytes(self._head[:4], "big") > WELCOME_BYTES:
            text = self._head.decode("utf-8", "backslashreplace").strip().partition("\n")[0]
            raise p.ProtocolError(garbage(_interpreter(self._command), text))

    def _take(self, event: p.Event) -> None:
        if isinstance(event, p.Welcome):
            self._greeted = True
            if event.version != p.VERSION:
                raise p.ProtocolError(p.version_sentence(event.version))
            return
        if isinstance(event, p.Ready):
            self._ready = True
        elif event.id == self._opening and not isinstance(event, p.Progress):
            self._opening = 0
            self._patience.stop()
        self.received.emit(event)

    def _on_console(self) -> None:
        if self._process is None:
            return
        text = self._text.decode(bytes(self._process.readAllStandardError().data()))
        if text:
            if not self._ready:
                self._said = (self._said + text)[-TAIL:]
            self.console.emit(text)

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if self._process is None:
            return
        self._on_console()
        self._on_output()
        process, self._process = self._process, None
        process.deleteLater()
        self._patience.stop()
        self._end_group()
        crashed = status == QProcess.ExitStatus.CrashExit
        program = _interpreter(self._command)
        self.ended.emit(
            Outcome(code, crashed, self._wanted, self._problem, self._ready, program=program, said=self._said)
        )

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error != QProcess.ProcessError.FailedToStart or self._process is None:
            return  # the others come with finished()
        process, self._process = self._process, None
        process.deleteLater()
        program = self._command[0]
        outcome = Outcome(127, False, ready=False, refusal=_why_not(program, process.errorString()), program=program)
        # Not from within start(): whoever called it must be able to connect first.
        QTimer.singleShot(0, self, lambda: self.ended.emit(outcome))


def _why_not(program: str, words: str) -> str:
    """What :attr:`Outcome.refusal` says of a program that the system would not start."""
    if Path(program).is_dir():
        return "folder"
    if shutil.which(program) is not None:
        return words or "?"
    return "forbidden" if Path(program).is_file() else "missing"


def _environment() -> QProcessEnvironment:
    environment = QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONIOENCODING", "utf-8:backslashreplace")
    return environment
