"""What was selected in the tree is what a page shows when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytestqt.qtbot import QtBot

from modelight.setup import Setup
from modelight.shot import Offscreen
from tests.gui.conftest import PATIENCE

After = Callable[[Offscreen, Callable[[], Any]], None]
CODE = """
import torch
from torch import nn

def build():
    layers = [part for _ in range(6) for part in (nn.Linear(4, 4), nn.Dropout(0.5))]
    return nn.Sequential(*layers)

def example_input():
    return torch.ones(3, 4)
"""


def test_a_page_opens_on_the_selected_module(stage: Offscreen, after: After, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "many_drops.py").write_text(CODE)
    after(stage, lambda: stage.session.open(Setup(f"{tmp_path}/many_drops.py:build")))
    stage.window.tree_pane.tree.select("9")
    pages = stage.window.pages
    pages.show_page("dropout")
    view = pages._views["dropout"].widget
    bar = view.page.verticalScrollBar()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: bar.value() > 0, timeout=PATIENCE)
    pages.show_page("layers")
    rows = pages._views["layers"].widget.list  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: rows.currentIndex().data() == "9", timeout=PATIENCE)
