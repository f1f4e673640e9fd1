"""A real window on a real model process, offscreen; opened once for all tests of a file that only look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from modelight.shot import Offscreen, demo_setup

PATIENCE = 60_000


@pytest.fixture(scope="module")
def incident(qapp: QApplication) -> Iterator[Offscreen]:
    """The window on the incident, as ``modelight demo`` opens it."""
    with Offscreen((1440, 900), "light") as stage:
        assert stage.open(demo_setup())
        yield stage


@pytest.fixture
def stage(qapp: QApplication) -> Iterator[Offscreen]:
    """A window of its own, for tests that break things."""
    with Offscreen((1440, 900), "light") as stage:
        yield stage


@pytest.fixture
def after(qtbot: QtBot) -> Callable[[Offscreen, Callable[[], Any]], None]:
    """Do something, and wait until all that follows from it is computed."""

    def wait(stage: Offscreen, action: Callable[[], Any]) -> None:
        with qtbot.waitSignal(stage.session.cycle.settled, timeout=PATIENCE):
            action()

    return wait
