"""The process group of the model process: who is ended with it."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from pytestqt.qtbot import QtBot

from modelight.client import Client
from tests.process.conftest import PATIENCE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_a_group_that_has_ended_is_not_ended_again_before_the_next_one_is_known(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: told.append((group, number)))
    client = Client(command=[sys.executable, "-c", "pass"])
    ended: list[object] = []
    client.ended.connect(ended.append)
    client.start()
    first = client.pid
    qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE)
    assert told == [(first, signal.SIGKILL)]
    client.start()
    client.close()  # before Qt says that it has started
    assert told == [(first, signal.SIGKILL)]
