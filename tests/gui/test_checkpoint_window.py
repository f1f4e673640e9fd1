"""A checkpoint by itself in a window of its own, read by the real model process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from pytestqt.qtbot import QtBot

from modelight.checkpoint_window import CheckpointWindow
from modelight.sample_models import digits_cnn
from modelight.shot import Offscreen
from tests.gui.conftest import PATIENCE


@pytest.fixture
def window(stage: Offscreen, qtbot: QtBot) -> CheckpointWindow:
    """Dropped on the welcome page, a checkpoint opens without its model."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(digits_cnn.CHECKPOINT))])
    no_key = Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(700, 400), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, no_key)
    stage.window.dropEvent(event)
    qtbot.waitUntil(lambda: stage.window.findChild(CheckpointWindow) is not None, timeout=PATIENCE)
    found = stage.window.findChild(CheckpointWindow)
    assert isinstance(found, CheckpointWindow)
    return found


def test_it_shows_the_keys_and_the_values_of_a_tensor_when_asked(window: CheckpointWindow, qtbot: QtBot) -> None:
    data = window.page.data()
    assert data is not None and data.tensors == 23
    window.page.tree.select("features.8.running_var")
    held = torch.load(digits_cnn.CHECKPOINT, weights_only=True)["features.8.running_var"]
    qtbot.waitUntil(lambda: f"{float(held.mean()):.3f}" in window.page.figures.text(), timeout=PATIENCE)


def test_two_checkpoints_are_compared_value_by_value(window: CheckpointWindow, qtbot: QtBot, tmp_path: Path) -> None:
    other = torch.load(digits_cnn.CHECKPOINT, weights_only=True)
    other["features.8.running_var"] = other["features.8.running_var"] + 0.25
    torch.save(other, tmp_path / "other.pt")
    window.compare_with(str(tmp_path / "other.pt"))

    def different() -> set[str]:
        data = window.page.data()
        return set() if data is None else {row.key for row in data.rows if row.differs and row.key}

    qtbot.waitUntil(lambda: bool(different()), timeout=PATIENCE)
    assert different() == {"features.8.running_var"}
    data = window.page.data()
    assert data is not None and "0.25" in next(row.difference for row in data.rows if row.differs and row.key)
