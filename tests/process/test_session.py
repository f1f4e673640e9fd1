"""The session on the real model process: open, flip, run, lose the process, and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from modelight import protocol as p
from modelight.client import Client
from modelight.outcome import Outcome
from modelight.problems import Problem
from modelight.session import Session
from modelight.setup import Setup
from tests.process.conftest import DIGITS, PATIENCE, Notes, open_and_settle, trouble


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_the_incident_end_to_end(qtbot: QtBot, session: Session, notes: Notes) -> None:
    open_and_settle(qtbot, session, Setup(DIGITS))
    assert notes.problems == []
    assert session.modes.name == "train" and session.input is not None and session.input.samples == 8
    frame = notes.frames[-1]
    assert isinstance(frame, p.Frame) and frame.outputs[0].values is not None
    train = frame.outputs[0].values.numpy()
    assert abs(train[:, :, 0] - train[:, :, 1]).max() < 0.6  # logits hardly differ: every answer is near one half
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.set_mode("", False)
    assert session.modes.name == "eval"
    frame = notes.frames[-1]
    assert isinstance(frame, p.Frame) and frame.outputs[0].values is not None
    answers = frame.outputs[0].values.numpy()[0].argmax(axis=1).tolist()
    assert answers == session.input.labels


def test_undo_and_redo_write_back_exactly_what_was_there(qtbot: QtBot, session: Session) -> None:
    open_and_settle(qtbot, session, Setup(DIGITS))
    session.cycle.interrupt()
    before = dict(session.setup.flags)  # type: ignore[union-attr]
    with qtbot.waitSignal(session.states_changed, timeout=PATIENCE):
        session.set_mode("features.1", False)
    mixed = dict(session.setup.flags)  # type: ignore[union-attr]
    assert {path for path in before if before[path] != mixed[path]} == {"features.1"}
    with qtbot.waitSignal(session.states_changed, timeout=PATIENCE):
        session.set_mode("", False)
    for step, flags in ((session.undo.undo, mixed), (session.undo.undo, before), (session.undo.redo, mixed)):
        with qtbot.waitSignal(session.states_changed, timeout=PATIENCE):
            step()
        assert session.setup is not None and session.setup.flags == flags


def test_killing_the_model_process_in_a_live_run_loses_nothing(qtbot: QtBot, session: Session, notes: Notes) -> None:
    open_and_settle(qtbot, session, Setup(DIGITS, sources=[p.Example((0, 1, 2)), p.Noise(samples=2, seed=7)]))
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.set_mode("features.4", False)
    session.set_grad_mode("inference_mode")
    session.select("features.4")
    session.cycle.set_live(True)
    count = len(notes.frames)
    qtbot.waitUntil(lambda: len(notes.frames) > count + 5, timeout=PATIENCE)
    flags = dict(session.setup.flags)  # type: ignore[union-attr]
    pid = session._client.pid
    with qtbot.waitSignal(session.ended, timeout=PATIENCE) as blocker:
        os.kill(pid, signal.SIGKILL)
    outcome = blocker.args[0]
    assert isinstance(outcome, Outcome) and "Restart" in outcome.sentence
    problem = notes.problems[-1]
    assert isinstance(problem, Problem) and problem.fatal
    count = len(notes.frames)
    session.restart()
    qtbot.waitUntil(lambda: len(notes.frames) > count + 3, timeout=PATIENCE)
    assert session._client.pid not in (0, pid)
    setup = session.setup
    assert setup is not None and setup.flags == flags and session.cycle.live
    assert (setup.grad_mode, setup.selection) == ("inference_mode", "features.4")
    assert session.input is not None and session.input.samples == 5
    frame = notes.frames[-1]
    assert isinstance(frame, p.Frame) and frame.grad_mode == "inference_mode" and frame.eval == 1


def test_the_modes_after_a_restart_are_those_of_the_new_process(qtbot: QtBot, session: Session) -> None:
    open_and_settle(qtbot, session, Setup(DIGITS))
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.set_mode("", False)
    with qtbot.waitSignal(session.ended, timeout=PATIENCE):
        os.kill(session._client.pid, signal.SIGKILL)
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.restart()
    assert not any(state.training for state in session.states)


@pytest.mark.parametrize(("kind", "word"), [("exit", "exit status"), ("segfault", "SIGSEGV")])
def test_a_model_that_ends_the_process_leaves_the_window_alive(
    qtbot: QtBot, session: Session, notes: Notes, kind: str, word: str
) -> None:
    with qtbot.waitSignal(session.ended, timeout=PATIENCE):
        session.open(trouble(kind))
    problem = notes.problems[-1]
    assert isinstance(problem, Problem) and word in problem.sentence


def test_an_error_in_forward_is_a_sentence_with_the_users_traceback(
    qtbot: QtBot, session: Session, notes: Notes
) -> None:
    open_and_settle(qtbot, session, trouble("raise"))
    problem = notes.problems[-1]
    assert isinstance(problem, Problem) and problem.kind == "run"
    assert "troublemaker.py" in problem.details
    assert session._client.running


ONE_MODE = """
import torch
from torch import nn

class OneMode(nn.Module):
    def __init__(self, bad):
        super().__init__()
        self.bad, self.norm = bad, nn.BatchNorm1d(6)
    def forward(self, x):
        if self.training is self.bad:
            raise RuntimeError("not in this mode")
        return self.norm(x)

def build(bad=None):
    return OneMode(bad).train(not bad)
def example_input():
    return torch.randn(5, 6)
"""


@pytest.mark.parametrize("bad", [None, True], ids=["raises-alone", "raises-in-train"])
def test_runs_nobody_asked_for_may_fail_without_a_word(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path, bad: bool | None
) -> None:
    """BatchNorm1d in train cannot run one sample alone, as *Same input, same answer?* would; the other mode may raise.
    Neither says anything against the run in view, and findings are looked for all the same."""
    (tmp_path / "one_mode.py").write_text(ONE_MODE)
    found: list[object] = []
    session.cycle.findings.connect(found.append)
    open_and_settle(qtbot, session, Setup(f"{tmp_path}/one_mode.py:build(bad={bad})", batch=5))
    assert not notes.problems and len(notes.frames) == 2
    assert isinstance(found[-1], list)


def test_what_the_model_prints_is_console_and_not_protocol(qtbot: QtBot, session: Session, notes: Notes) -> None:
    open_and_settle(qtbot, session, trouble("print"))
    qtbot.waitUntil(lambda: "".join(notes.console) != "", timeout=PATIENCE)
    assert notes.problems == []
    assert notes.frames


def test_after_the_end_of_the_process_nothing_is_waited_for(qtbot: QtBot, session: Session, notes: Notes) -> None:
    """A run or comparison that nobody answers would keep the window busy for ever."""
    open_and_settle(qtbot, session, Setup(DIGITS))
    with qtbot.waitSignal(session.ended, timeout=PATIENCE):
        os.kill(session._client.pid, signal.SIGKILL)
    for ask in (session.cycle.begin, session.cycle.compare, session.cycle.look):
        ask()
        assert not session.cycle.busy


@pytest.mark.parametrize(("given", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_of_the_model_wait_asleep_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], policy: str
) -> None:
    from modelight.engine import __main__ as engine

    monkeypatch.setattr(os, "environ", dict(given))
    engine._wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == policy


def test_a_hanging_model_is_stopped_and_comes_back(qtbot: QtBot, session: Session, notes: Notes) -> None:
    with qtbot.waitSignal(session.opened, timeout=PATIENCE):
        session.open(trouble("hang"))
    qtbot.waitUntil(lambda: "hangs" in "".join(notes.console), timeout=PATIENCE)
    with qtbot.waitSignal(session.cycle.stuck, timeout=PATIENCE):
        session.cycle.stop()
    pid = session._client.pid
    session.stop_process()
    qtbot.waitUntil(lambda: not alive(pid), timeout=PATIENCE)
    with qtbot.waitSignal(session.opened, timeout=PATIENCE):
        session.restart()


def test_an_interpreter_that_is_not_there_is_said(qtbot: QtBot) -> None:
    session = Session(Client(command=["/nonexistent/python"]))
    notes = Notes(session)
    session.open(Setup(DIGITS))
    qtbot.waitUntil(lambda: bool(notes.problems), timeout=PATIENCE)
    problem = notes.problems[0]
    assert isinstance(problem, Problem) and "interpreter" in problem.sentence


def test_another_protocol_version_is_refused_with_a_sentence(qtbot: QtBot) -> None:
    welcome = "import sys; from modelight import protocol as p; sys.stdout.buffer.write(p.encode(p.Welcome(version=99,"
    code = welcome + " pid=1, python='3'))); sys.stdout.flush(); sys.stdin.read()"
    session = Session(Client(command=[sys.executable, "-c", code]))
    notes = Notes(session)
    session.open(Setup(DIGITS))
    qtbot.waitUntil(lambda: bool(notes.problems), timeout=PATIENCE)
    problem = notes.problems[0]
    assert isinstance(problem, Problem) and "protocol 99" in problem.sentence


WINDOW = """
import sys
from PySide6.QtCore import QCoreApplication
from modelight.client import Client
from modelight.session import Session
from modelight.setup import Setup
app = QCoreApplication([])
session = Session(Client())
session.cycle.settled.connect(lambda: print(session._client.pid, flush=True))
session.open(Setup(sys.argv[1]))
app.exec()
"""


@pytest.mark.parametrize("kind", ["none", "hang"])
def test_killing_the_window_leaves_no_model_process_behind(kind: str) -> None:
    """Also while the model hangs in its forward."""
    spec = trouble(kind).spec
    code = (
        WINDOW
        if kind == "none"
        else WINDOW.replace("session.cycle.settled", "session.opened").replace("lambda:", "lambda _:")
    )
    window = subprocess.Popen([sys.executable, "-c", code, spec], stdout=subprocess.PIPE, text=True)
    try:
        assert window.stdout is not None
        pid = int(window.stdout.readline())
        assert alive(pid)
        window.send_signal(signal.SIGKILL)
        window.wait(10)
        deadline = time.monotonic() + 10
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not alive(pid)
    finally:
        window.kill()
        if window.stdout is not None:
            window.stdout.close()


def test_workers_of_a_model_that_crashes_do_not_live_on(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text(
        "import os, subprocess, sys, torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(2, 2)\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "        print('child', child.pid, flush=True)\n"
        "        os.abort()\n"
    )
    with qtbot.waitSignal(session.ended, timeout=PATIENCE):
        session.open(Setup(f"{tmp_path / 'worker.py'}:Net"))
    child = int("".join(notes.console).split("child ")[1].split()[0])
    qtbot.waitUntil(lambda: not alive(child), timeout=PATIENCE)
