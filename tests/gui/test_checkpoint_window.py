"""A checkpoint by itself in a window of its own, read by the real model process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractItemView
from pytestqt.qtbot import QtBot

from modelight.checkpoint_window import CheckpointWindow
from modelight.protocol import Inspect
from modelight.sample_models import digits_cnn
from modelight.shot import Offscreen
from modelight.widgets import theme
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


def test_the_row_that_was_clicked_stays_where_its_values_need_room(window: CheckpointWindow, qtbot: QtBot) -> None:
    """Asked for at the foot of the tree, a tensor was hidden by its own histogram; the next one made all rows jump."""
    tree = window.page.tree
    assert tree.height() > 500
    tree.select("features.8.running_var")
    qtbot.waitUntil(lambda: window.page.plot.isVisible(), timeout=PATIENCE)
    qtbot.waitUntil(lambda: tree.height() < 500)
    assert tree.viewport().rect().contains(tree.visualRect(tree.currentIndex()).center())
    height = tree.height()
    tree.select("features.8.running_mean")
    assert not window.page.plot.isVisible() and tree.height() == height
    qtbot.waitUntil(lambda: window.page.plot.isVisible(), timeout=PATIENCE)
    assert tree.height() == height


def test_a_click_on_the_last_row_in_sight_selects_it(window: CheckpointWindow, qtbot: QtBot) -> None:
    """The rows moved while the button was down, and another row was selected than the one that is looked at."""
    tree = window.page.tree
    index = tree._model.index_of("features.8.running_mean")
    tree.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtBottom)
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=tree.visualRect(index).center())
    qtbot.waitUntil(lambda: window.page.plot.isVisible(), timeout=PATIENCE)
    assert tree.currentIndex() == index
    assert [row.data() for row in tree.selectionModel().selectedRows()] == [index.data()]
    assert tree.viewport().rect().contains(tree.visualRect(index).center())


def test_what_cannot_be_compared_is_said_in_this_window(window: CheckpointWindow, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "other.pt").write_bytes(b"no checkpoint at all")
    window.compare_with(str(tmp_path / "other.pt"))
    qtbot.waitUntil(lambda: bool(window.trouble.text()), timeout=PATIENCE)
    assert "other.pt" in window.trouble.text()
    window.compare_with(str(digits_cnn.CHECKPOINT))
    qtbot.waitUntil(lambda: not window.trouble.text(), timeout=PATIENCE)


class Config:
    """Something that weights_only does not read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("This ran.",)


def test_consent_to_the_other_checkpoint_is_asked_for_here_and_remembered(
    window: CheckpointWindow, stage: Offscreen, qtbot: QtBot, tmp_path: Path
) -> None:
    weights = torch.load(digits_cnn.CHECKPOINT, weights_only=True)
    torch.save({"state_dict": weights, "config": Config()}, tmp_path / "other.ckpt")
    window.compare_with(str(tmp_path / "other.ckpt"))
    qtbot.waitUntil(lambda: bool(window.trouble.text()), timeout=PATIENCE)
    assert "print" in window.trouble.text() and not stage.window.messages.trouble.text()

    def compared() -> bool:
        data = window.page.data()
        return data is not None and bool(data.against)

    window.trouble.button("consent").click()
    qtbot.waitUntil(compared, timeout=PATIENCE)
    assert not window.trouble.text()


def test_a_window_that_is_closed_while_values_are_read_is_not_written_to(
    window: CheckpointWindow, stage: Offscreen, qtbot: QtBot
) -> None:
    window.page.tree.select("features.8.running_var")
    window.close()
    done: list[object] = []
    stage.session.ask(Inspect(id=stage.session.new_id(), path=str(digits_cnn.CHECKPOINT)), done.append)
    qtbot.waitUntil(lambda: bool(done), timeout=PATIENCE)  # and what was asked before it was answered, or given up
    assert not stage.problems


def test_a_process_that_is_gone_is_told_and_another_reads(
    window: CheckpointWindow, stage: Offscreen, qtbot: QtBot
) -> None:
    window.page.tree.select("features.8.running_var")
    stage.session.stop_process()
    assert window.page.words.text() == "Its values could not be read."
    qtbot.waitUntil(lambda: not stage.session.alive, timeout=PATIENCE)
    window.page.tree.select("features.8.running_mean")
    qtbot.waitUntil(lambda: window.page.plot.isVisible(), timeout=PATIENCE)


def test_it_follows_the_theme(window: CheckpointWindow, stage: Offscreen, qtbot: QtBot) -> None:
    window.page.tree.select("features.8.running_var")
    qtbot.waitUntil(lambda: window.page.plot.isVisible(), timeout=PATIENCE)

    def colours() -> set[int]:
        image = window.page.plot.grab().toImage()
        return {image.pixel(x, y) for x in range(image.width()) for y in range(image.height())}

    light = colours()
    assert theme.color("eval_mark").rgb() in light
    stage.window.actions_._choose_theme("dark")
    assert theme.color("eval_mark").rgb() in colours()
    stage.window.actions_._choose_theme("light")
