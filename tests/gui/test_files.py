"""The model's files on disk change while the window is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from modelight.setup import Setup
from modelight.shot import Offscreen
from tests.gui.conftest import PATIENCE

CODE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, {width}), nn.Dropout(0.5), nn.Linear({width}, 2))

def example_input():
    return torch.ones(3, 4)
"""


def test_a_reload_is_offered_and_keeps_the_modes(
    stage: Offscreen, after: Callable[[Offscreen, Callable[[], Any]], None], qtbot: QtBot, tmp_path: Path
) -> None:
    source = tmp_path / "net.py"
    source.write_text(CODE.format(width=8))
    assert stage.open(Setup(f"{source}:Net", directory=str(tmp_path)))
    after(stage, lambda: stage.session.set_mode("1", False))
    replacement = tmp_path / "net.py.new"  # as editors do: write beside, then move over
    replacement.write_text(CODE.format(width=16))
    replacement.replace(source)
    notice = stage.window.messages.notes
    qtbot.waitUntil(lambda: "net.py has changed" in notice.text(), timeout=PATIENCE)
    after(stage, lambda: QTest.mouseClick(notice.button("reload"), Qt.MouseButton.LeftButton))
    model = stage.session.model
    assert model is not None and model.rows[0].parameters == 4 * 16 + 16 + 16 * 2 + 2
    assert stage.session.setup is not None
    assert stage.session.setup.flags == {"": True, "0": True, "1": False, "2": True}
