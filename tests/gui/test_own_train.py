"""A layer whose eval() merges its weights: its flag alone shows a state that the user's script never reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from modelight.setup import Setup
from modelight.shot import Offscreen
from modelight.widgets.output_data import OutputData

After = Callable[[Offscreen, Callable[[], Any]], None]

MODEL = """
import torch
from torch import nn


class LowRank(nn.Linear):
    def __init__(self):
        super().__init__(2, 2, bias=False)
        self.delta = nn.Parameter(torch.full((2, 2), 3.0))
        nn.init.constant_(self.weight, -0.5)
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += -self.delta.data if mode else self.delta.data
            self.merged = not mode
        return self

    def forward(self, x):
        y = super().forward(x)
        return y if self.merged or not self.training else y + x @ self.delta.T


def build():
    return nn.Sequential(LowRank())


def example_input():
    return torch.tensor([[1.0, 0.0], [0.0, 1.0]])
"""


@pytest.fixture
def opened(stage: Offscreen, tmp_path: Path) -> Offscreen:
    (tmp_path / "lora.py").write_text(MODEL)
    assert stage.open(Setup(f"{tmp_path / 'lora.py'}:build", batch=2))
    return stage


def effect(stage: Offscreen) -> list[str]:
    return [clause.id for clause in stage.session.states[1].effect]


def shown(stage: Offscreen) -> OutputData:
    stage.show_page("output")
    data = stage.window.pages._view("output").widget.data()  # type: ignore[attr-defined]
    assert isinstance(data, OutputData)
    return data


def offer(stage: Offscreen, training: bool) -> QAction:
    tree = stage.window.tree_pane.tree
    menu = tree.context_menu("0")
    assert isinstance(menu, QMenu)
    return next(action for action in menu.actions() if action.objectName() == f"own-train-{training}")


def test_flag_only_is_said_and_after_its_own_train_both_outputs_are_shown(opened: Offscreen, after: After) -> None:
    assert shown(opened).bars.heights.tolist() == [2.5, 2.5] and "flag-only" not in effect(opened)
    after(opened, lambda: opened.session.set_mode("", False))
    assert "flag-only" in effect(opened)
    alone = shown(opened)
    assert alone.bars.heights.tolist() == [-0.5, -0.5] and not alone.before_own_train
    action = offer(opened, training=False)
    assert action.text() == "Call its own train(False)"
    after(opened, action.trigger)
    assert "flag-only" not in effect(opened)
    both = shown(opened)
    assert (both.mode, both.before_mode, both.before_own_train) == ("eval", "eval", True)
    assert both.bars.heights.tolist() == [2.5, 2.5] and both.bars.before.tolist() == [-0.5, -0.5]
    after(opened, lambda: opened.session.set_mode("", True))
    assert (shown(opened).before_mode, shown(opened).before_own_train) == ("eval", False)


def test_it_is_offered_where_the_flag_is_told(opened: Offscreen, after: After) -> None:
    """A menu alone hides it."""
    pane = opened.window.tree_pane
    pane.tree.select("0")
    button = pane.selection.own_train
    assert not button.isVisible()
    height, room = pane.selection.height(), pane.selection._values[1].width()
    after(opened, lambda: opened.session.set_mode("", False))
    assert button.isVisible() and button.text() == "Call its own train(False)"
    assert (pane.selection.height(), pane.selection._values[1].width()) == (height, room)
    after(opened, lambda: QTest.mouseClick(button, Qt.MouseButton.LeftButton))
    assert "flag-only" not in effect(opened) and not button.isVisible()
    assert shown(opened).before_own_train
