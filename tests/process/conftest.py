"""The real model process, driven through the session as the window drives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from modelight.client import Client
from modelight.session import Session
from modelight.setup import Setup

DIGITS = "modelight.sample_models.digits_cnn:build"
PATIENCE = 60_000
"""Milliseconds: importing torch on a busy machine takes its time. Nothing waits this long unless it fails."""


class Notes:
    """What a session said, in lists."""

    def __init__(self, session: Session) -> None:
        self.frames: list[object] = []
        self.problems: list[object] = []
        self.console: list[str] = []
        self.changes: list[object] = []
        session.cycle.frame.connect(self.frames.append)
        session.problem.connect(self.problems.append)
        session.console.connect(self.console.append)
        session.states_changed.connect(self.changes.append)


@pytest.fixture
def session(qtbot: QtBot) -> Iterator[Session]:
    session = Session(Client())
    yield session
    session.close()


@pytest.fixture
def notes(session: Session) -> Notes:
    return Notes(session)


def open_and_settle(qtbot: QtBot, session: Session, setup: Setup) -> None:
    """Open a model and wait until everything that follows has been computed."""
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.open(setup)


def trouble(kind: str) -> Setup:
    """The sample that misbehaves on request."""
    spec = f"modelight.sample_models.troublemaker:build(trouble={kind!r})"
    return Setup(spec, directory=str(Path.cwd()), batch=4)  # its batch norm needs more than one sample
