"""The model process under another interpreter and behind a command that stands in for ssh."""

from __future__ import annotations

import sys
from pathlib import Path

from pytestqt.qtbot import QtBot

from modelight.client import Client, engine_command
from modelight.problems import Problem
from modelight.session import Session
from modelight.setup import Setup
from tests.process.conftest import DIGITS, PATIENCE, Notes, open_and_settle

STAND_IN = """
# What ssh does, without a network: takes its options and the host, gives the rest to a shell.
import os, sys
assert sys.argv[1:3] == ["-T", "somebody@elsewhere"], sys.argv
os.execvp("sh", ["sh", "-c", " ".join(sys.argv[3:])])
"""


def test_over_a_stand_in_for_ssh_everything_works_as_here(qtbot: QtBot, tmp_path: Path) -> None:
    script = tmp_path / "ssh.py"
    script.write_text(STAND_IN)
    command = engine_command(sys.executable, "somebody@elsewhere", f"{sys.executable} {script}")
    session = Session(Client(command=command))
    notes = Notes(session)
    try:
        open_and_settle(qtbot, session, Setup(DIGITS))
        assert notes.problems == [] and len(notes.frames) == 2
    finally:
        session.close()


def test_the_command_for_a_host_is_one_quoted_line() -> None:
    assert engine_command(host="me@gpu") == ["ssh", "-T", "me@gpu", "python3 -P -m modelight.engine"]
    quoted = engine_command("/opt/my env/python", "me@gpu", "ssh -p 2222")
    assert quoted == ["ssh", "-p", "2222", "-T", "me@gpu", "'/opt/my env/python' -P -m modelight.engine"]


def test_an_interpreter_without_modelight_is_a_sentence_that_says_what_it_needs(qtbot: QtBot) -> None:
    # -S leaves site-packages out: an interpreter with nothing installed.
    session = Session(Client(command=[sys.executable, "-S", "-P", "-m", "modelight.engine"]))
    notes = Notes(session)
    session.open(Setup(DIGITS))
    qtbot.waitUntil(lambda: bool(notes.problems), timeout=PATIENCE)
    problem = notes.problems[0]
    assert isinstance(problem, Problem)
    assert "Python 3.11" in problem.sentence and "torch 2.6" in problem.sentence
    qtbot.waitUntil(lambda: "modelight" in "".join(notes.console), timeout=PATIENCE)
