"""The window as a person uses it: clicks and keys, on the real model process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from modelight import protocol as p
from modelight.protocol import Example, Noise
from modelight.setup import Setup
from modelight.shot import Offscreen
from modelight.widgets.compare_page import ComparePage
from tests.gui.conftest import PATIENCE

After = Callable[[Offscreen, Callable[[], Any]], None]
DIGITS = "modelight.sample_models.digits_cnn:build"
LEFT = Qt.MouseButton.LeftButton


def flags(stage: Offscreen) -> dict[str, bool]:
    assert stage.session.setup is not None
    return dict(stage.session.setup.flags)


def click_lamp(stage: Offscreen, path: str, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    tree = stage.window.tree_pane.tree
    QTest.mouseClick(tree.viewport(), LEFT, modifier, tree.lamp_rect(path).center())


def press(parent: object, name: str) -> None:
    button = parent.findChild(QPushButton, name)  # type: ignore[attr-defined]
    assert button is not None, name
    QTest.mouseClick(button, LEFT)


def colours(stage: Offscreen, path: str) -> set[str]:
    """Colours in the lamp as painted."""
    tree = stage.window.tree_pane.tree
    image = tree.viewport().grab(tree.lamp_rect(path)).toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def test_a_click_on_a_lamp_flips_the_subtree_and_alt_click_one_module(incident: Offscreen, after: After) -> None:
    before = flags(incident)
    assert "#d55e00" in colours(incident, "features.1")
    after(incident, lambda: click_lamp(incident, "features"))
    now = flags(incident)
    assert all(not now[path] for path in now if path == "features" or path.startswith("features."))
    assert all(now[path] for path in ("", "pool", "drop", "head"))
    assert "#0072b2" in colours(incident, "features.1") and "#d55e00" not in colours(incident, "features.1")
    assert incident.window.toolbar.mode.value() == "mixed"
    after(incident, lambda: click_lamp(incident, "features", Qt.KeyboardModifier.AltModifier))
    assert flags(incident) == {**now, "features": True}
    after(incident, incident.session.undo.undo)
    after(incident, incident.session.undo.undo)
    assert flags(incident) == before


def test_space_flips_from_the_keyboard_and_undo_has_a_key(incident: Offscreen, after: After) -> None:
    before = flags(incident)
    tree = incident.window.tree_pane.tree
    tree.select("drop")
    after(incident, lambda: QTest.keyClick(tree, Qt.Key.Key_Space))
    assert flags(incident) == {**before, "drop": False}
    incident.window.activateWindow()
    after(incident, lambda: QTest.keyClick(incident.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier))
    assert flags(incident) == before


def test_the_remedy_of_the_first_finding_removes_it(incident: Offscreen, after: After) -> None:
    card = incident.window.findings.cards()[0]
    assert card.row.doc == "ML101" and card.row.severity == "critical"
    after(incident, lambda: press(card, "remedy-set-eval"))
    assert not any(flags(incident).values())
    cards = incident.window.findings.cards()
    assert cards[0].row.severity == "solved" and cards[0].row.doc == "ML101"
    assert all(card.row.severity == "solved" for card in cards)
    assert incident.window.status.value().right == (8, 8)
    after(incident, lambda: press(cards[0], "remedy-undo"))
    assert all(flags(incident).values())
    assert incident.window.findings.cards()[0].row.severity == "critical"


def test_the_status_bar_tells_what_came_out(incident: Offscreen, after: After) -> None:
    status = incident.window.status.value()
    assert (status.train, status.eval, status.output) == (14, 0, "output requires_grad = False, is_inference() = False")
    assert (status.autograd_bytes, status.buffers_put_back, status.right) == (0, 9, (4, 8))
    after(incident, lambda: incident.window.toolbar.grad.button("enabled").click())
    status = incident.window.status.value()
    assert status.output == "output requires_grad = True, grad_fn = AddmmBackward0, is_inference() = False"
    assert status.autograd_bytes is not None and status.autograd_bytes > 0 and status.autograd_also[0] > 0
    after(incident, lambda: incident.window.toolbar.grad.button("inference_mode").click())
    assert incident.window.status.value().output == "output requires_grad = False, is_inference() = True"
    after(incident, lambda: incident.session.set_grad_mode("no_grad"))


def test_presets_and_mixed_come_back(incident: Offscreen, after: After) -> None:
    after(incident, lambda: incident.session.preset("mc_dropout"))
    mixed = flags(incident)
    assert {path for path in mixed if mixed[path]} == {"drop"}
    after(incident, lambda: incident.window.toolbar.mode.button("train").click())
    assert all(flags(incident).values())
    after(incident, lambda: incident.window.toolbar.mode.button("mixed").click())
    assert flags(incident) == mixed
    after(incident, lambda: incident.window.toolbar.mode.button("train").click())


def test_the_modes_are_copied_as_python(incident: Offscreen, after: After, qtbot: QtBot) -> None:
    after(incident, lambda: incident.session.set_mode("features.8", False))
    with qtbot.waitSignal(incident.session.python_ready, timeout=PATIENCE):
        incident.window.actions_.copy_python.trigger()
    text = QGuiApplication.clipboard().text()
    assert "features[8].eval()" in text and "torch.no_grad()" in text
    after(incident, incident.session.undo.undo)


def test_a_findings_id_opens_its_page(incident: Offscreen, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    opens = [True]

    def open_url(url: QUrl) -> bool:
        opened.append(Path(url.toLocalFile()))
        return opens[0]

    monkeypatch.setattr(QDesktopServices, "openUrl", open_url)
    incident.window.findings.doc_requested.emit("ML101")
    assert opened[0].name == "ML101.md" and opened[0].read_text("utf-8").startswith("# ML101")
    assert not incident.window.messages.trouble.text()
    opens[0] = False
    incident.window.findings.doc_requested.emit("ML101")
    assert str(opened[0]) in incident.window.messages.trouble.text()
    incident.window.messages.trouble.clear()


def test_live_computes_statistics_of_norms_only_where_they_are_shown(
    incident: Offscreen, after: After, qtbot: QtBot
) -> None:
    """In eval they cost a pass over each norm's input; those of the selected module are always there."""
    after(incident, lambda: incident.session.set_mode("", False))
    frames: list[p.Frame] = []
    incident.session.cycle.frame.connect(frames.append)

    def seen() -> dict[str, bool]:
        return {norm.path: norm.batch_mean is not None for norm in frames[-1].norms}

    incident.window.pages.show_page("output")
    incident.session.select("features.4")
    QTest.mouseClick(incident.window.toolbar.live, LEFT)
    qtbot.waitUntil(
        lambda: bool(frames) and seen() == {"features.1": False, "features.4": True, "features.8": False},
        timeout=PATIENCE,
    )
    incident.window.pages.show_page("statistics")
    qtbot.waitUntil(lambda: all(seen().values()), timeout=PATIENCE)
    incident.window.pages.show_page("output")
    with qtbot.waitSignal(incident.session.cycle.settled, timeout=PATIENCE):
        QTest.mouseClick(incident.window.toolbar.live, LEFT)
    qtbot.waitUntil(lambda: not incident.session.cycle.busy and all(seen().values()), timeout=PATIENCE)
    after(incident, incident.session.undo.undo)


def test_live_stops_by_itself_when_the_window_is_hidden(incident: Offscreen, qtbot: QtBot) -> None:
    frames: list[object] = []
    incident.session.cycle.frame.connect(frames.append)
    QTest.mouseClick(incident.window.toolbar.live, LEFT)
    qtbot.waitUntil(lambda: len(frames) > 3, timeout=PATIENCE)
    assert incident.window.toolbar.live.isChecked()
    with qtbot.waitSignal(incident.session.cycle.settled, timeout=PATIENCE):
        incident.window.hide()
    assert not incident.session.cycle.live
    incident.window.show()
    assert not incident.window.toolbar.live.isChecked()


def test_filter_and_only_layers_that_react(incident: Offscreen) -> None:
    pane = incident.window.tree_pane
    pane.only_reacting.setChecked(True)
    assert pane.tree.matches() == 4
    pane.only_reacting.setChecked(False)
    pane.filter.setText("batchnorm")
    assert pane.tree.matches() == 3
    pane.filter.clear()


def test_killing_the_model_process_leaves_the_window_one_click_from_going_on(
    stage: Offscreen, after: After, qtbot: QtBot
) -> None:
    assert stage.open(Setup(DIGITS, sources=[Example((0, 1, 2)), Noise("uniform", samples=2)]))
    after(stage, lambda: click_lamp(stage, "features.8"))
    stage.window.tree_pane.tree.select("features.4")
    QTest.mouseClick(stage.window.toolbar.live, LEFT)
    frames: list[object] = []
    stage.session.cycle.frame.connect(frames.append)
    qtbot.waitUntil(lambda: len(frames) > 3, timeout=PATIENCE)
    before = flags(stage)
    with qtbot.waitSignal(stage.session.ended, timeout=PATIENCE):
        os.kill(stage.session._client.pid, signal.SIGKILL)
    assert "SIGKILL" in stage.window.messages.trouble.text()
    frames.clear()
    QTest.mouseClick(stage.window.messages.trouble.button("restart"), LEFT)
    qtbot.waitUntil(lambda: len(frames) > 2, timeout=PATIENCE)
    assert flags(stage) == before and not before["features.8"]
    assert stage.session.input is not None and stage.session.input.samples == 5
    assert stage.window.tree_pane.tree.selected_path() == "features.4"
    assert stage.window.toolbar.live.isChecked()


def test_a_failing_model_is_a_sentence_with_the_traceback_one_click_away(stage: Offscreen) -> None:
    assert not stage.open(Setup("modelight.sample_models.troublemaker:build(trouble='raise')", batch=4))
    banner = stage.window.messages.trouble
    assert "trouble was asked for" in banner.text()
    press(banner, "banner-details")
    assert "troublemaker.py" in banner._details.toPlainText()


NORM = """
import torch
class Net(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 3))
"""


def test_a_run_that_the_mode_forbids_has_a_finding_whose_remedy_cures_it(
    stage: Offscreen, after: After, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(NORM)
    assert not stage.open(Setup(f"{tmp_path / 'net.py'}:Net"))
    assert "more than 1 value per channel" in stage.window.messages.trouble.text()
    card = stage.window.findings.cards()[0]
    assert card.row.doc == "ML170" and card.row.module == "1"
    after(stage, lambda: press(card, "remedy-set-eval"))
    assert stage.window.messages.trouble.text() == ""
    assert stage.window.findings.cards()[0].row.severity == "solved"
    assert stage.window.pages.seen.history.newest is not None


def test_a_wrong_spec_is_a_sentence(stage: Offscreen) -> None:
    assert not stage.open(Setup("modelight.sample_models.digits_cnn:bild"))
    assert "build" in stage.window.messages.trouble.text()


def drop(stage: Offscreen, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(QPointF(700, 400), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    stage.window.dropEvent(event)


def test_a_click_on_a_cell_of_the_comparison_goes_to_its_state(incident: Offscreen, after: After, qtbot: QtBot) -> None:
    assert incident.show_page("compare")
    page = incident.window.pages.stack.currentWidget()
    assert isinstance(page, ComparePage)
    qtbot.waitUntil(lambda: page.data() is not None, timeout=PATIENCE)
    data = page.data()
    assert data is not None and [cell.now for cell in data.cells] == [False, True, False, False, False, False]
    after(incident, lambda: QTest.mouseClick(page.matrix.cells[5], LEFT))
    assert not any(flags(incident).values())
    assert incident.session.setup is not None and incident.session.setup.grad_mode == "inference_mode"
    qtbot.waitUntil(lambda: [cell.now for cell in page.data().cells] == [False] * 5 + [True], timeout=PATIENCE)  # type: ignore[union-attr]
    after(incident, lambda: QTest.mouseClick(page.matrix.cells[1], LEFT))
    assert all(flags(incident).values())
    incident.window.show_page("output")


def test_files_dropped_on_the_window_become_input(incident: Offscreen, after: After, tmp_path: Path) -> None:
    np.save(tmp_path / "batch.npy", np.random.default_rng(0).random((5, 1, 8, 8), np.float32))
    after(incident, lambda: drop(incident, tmp_path / "batch.npy"))
    assert incident.session.input is not None and incident.session.input.samples == 5
    drop(incident, tmp_path / "what.xyz")
    assert "what.xyz" in incident.window.messages.trouble.text()
    after(incident, lambda: incident.session.set_input([Example(), Noise("uniform", samples=4)]))


def test_kept_updates_move_the_statistics_and_can_be_put_back(stage: Offscreen, after: After) -> None:
    assert stage.open(Setup(DIGITS, batch=8))
    stage.session.set_keep_updates(True)
    for _ in range(3):
        after(stage, stage.session.cycle.begin)
    status = stage.window.status.value()
    assert status.kept_passes == 3
    frame = stage.window.pages.seen.history.newest
    assert frame is not None and frame.ledger.kept and frame.ledger.buffers == 9
    norm = frame.norms[0]
    assert norm.running_mean is not None and norm.checkpoint_mean is not None
    assert not np.array_equal(norm.running_mean.numpy(), norm.checkpoint_mean.numpy())
    stage.session.set_keep_updates(False)
    after(stage, stage.session.restore_checkpoint)
    frame = stage.window.pages.seen.history.newest
    assert frame is not None and frame.norms[0].running_mean is not None and frame.norms[0].checkpoint_mean is not None
    np.testing.assert_array_equal(frame.norms[0].running_mean.numpy(), frame.norms[0].checkpoint_mean.numpy())
    assert stage.window.status.value().kept_passes is None


@pytest.mark.parametrize("page", ["output", "dropout", "statistics", "layers", "console"])
def test_every_page_opens_on_a_model_without_norms_or_dropouts(stage: Offscreen, page: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(
        "import torch\nclass Tiny(torch.nn.Module):\n    def forward(self, x):\n        return x.sum()\n"
    )
    stage.open(Setup(f"{tmp_path / 'tiny.py'}:Tiny", sources=[Noise(shape=(3,))]))
    stage.window.show_page(page)
    assert not stage.window.grab().isNull()


THREADED = """
import threading
import torch
from torch import nn

class Threaded(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
    def forward(self, x):
        out = []
        thread = threading.Thread(target=lambda: out.append(self.drop(x)))
        thread.start()
        thread.join()
        return out[0]

build = Threaded
def example_input():
    return torch.ones(4, 3)
"""


def test_dropouts_in_another_thread_are_not_denied(stage: Offscreen, tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(THREADED)
    assert stage.open(Setup(f"{tmp_path}/threaded.py:build"))
    assert "thread of their own" in stage.window.pages._nothing("dropout")
    assert "drops nothing" not in stage.window.pages._nothing("dropout")
