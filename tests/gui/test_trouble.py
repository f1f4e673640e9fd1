"""What the window says while a model cannot be run: nothing that is not so, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from modelight.setup import Setup
from modelight.shot import Offscreen
from modelight.widgets.empty import EmptyPage
from tests.gui.conftest import PATIENCE

After = Callable[[Offscreen, Callable[[], Any]], None]
CODE = """
import os
import torch
from torch import nn

class Raises(nn.Module):
    def __init__(self, ends=False):
        super().__init__()
        self.fc, self.ends = nn.Linear(4, 3), ends
    def forward(self, x):
        if self.ends:
            os._exit(7)
        if self.training:
            raise KeyError("targets of nobody")
        return self.fc(x)

def ends():
    return Raises(True)

def example_input():
    return torch.ones(3, 4)
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "troubled_net.py").write_text(CODE)
    return f"{tmp_path}/troubled_net.py"


def empty_page(stage: Offscreen) -> EmptyPage:
    page = stage.window.pages.stack.currentWidget()
    assert isinstance(page, EmptyPage)
    return page


def test_a_state_that_raises_is_not_called_unremarkable(stage: Offscreen, after: After, spec: str) -> None:
    after(stage, lambda: stage.session.open(Setup(f"{spec}:Raises")))
    assert stage.session.cycle.failed
    stage.window.pages.refresh()
    assert "stops with an error" in empty_page(stage).line.text()
    assert empty_page(stage).button.text() == "Run again"
    pane = stage.window.findings
    assert pane.count() or "does not run in this state" in pane._empty.text()
    after(stage, lambda: stage.session.preset("eval"))
    assert not stage.session.cycle.failed
    stage.window.pages.refresh()
    assert stage.window.pages.stack.currentWidget() is not stage.window.pages._empty
    assert "does not run" not in pane._empty.text()
    after(stage, lambda: stage.session.preset("train"))
    assert stage.session.cycle.failed


def test_a_process_that_ended_can_be_restarted_from_the_empty_page(stage: Offscreen, qtbot: QtBot, spec: str) -> None:
    with qtbot.waitSignal(stage.session.ended, timeout=PATIENCE):
        stage.session.open(Setup(f"{spec}:ends"))
    qtbot.waitUntil(lambda: empty_page(stage).line.text() == "The model process has ended.", timeout=PATIENCE)
    assert stage.window.findings._busy.isHidden()  # nobody is looking any more
    with qtbot.waitSignal(stage.session.opening, timeout=PATIENCE):
        QTest.mouseClick(empty_page(stage).button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(stage.session.ended, timeout=PATIENCE):
        pass


def test_a_restart_says_that_kept_updates_are_gone(stage: Offscreen, after: After, spec: str) -> None:
    digits = Setup("modelight.sample_models.digits_cnn:build", batch=8, keep_updates=True)
    after(stage, lambda: stage.session.open(digits))
    for _ in range(2):
        after(stage, stage.session.cycle.begin)
    kept = stage.window.status.value().kept_passes
    assert kept is not None and kept >= 2 and "undid" not in stage.window.status.trace_text()
    stage.session.stop_process()
    after(stage, stage.session.restart)
    assert f"the restart undid {kept}" in stage.window.status.trace_text()
    after(stage, lambda: stage.session.open(Setup(f"{spec}:Raises", keep_updates=True)))
    assert "undid" not in stage.window.status.trace_text()


def test_while_a_model_is_opened_nothing_is_claimed(stage: Offscreen, after: After, spec: str) -> None:
    after(stage, lambda: stage.session.open(Setup("modelight.sample_models.digits_cnn:build")))
    stage.session.open(Setup(f"{spec}:Raises"))
    stage.window.pages.refresh()
    assert empty_page(stage).line.text() == "Opening the model…"
    assert empty_page(stage).button.isHidden()
    assert stage.window.toolbar.mode.value() == ""
    after(stage, lambda: None)
    assert stage.window.toolbar.mode.value() == "train"
