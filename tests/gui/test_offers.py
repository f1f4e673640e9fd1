"""What the window offers about a checkpoint that met its model in part or not at all: one button each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from modelight.setup import Setup
from modelight.shot import Offscreen
from modelight.widgets.banner import Banner
from tests.gui.conftest import PATIENCE

After = Callable[[Offscreen, Callable[[], Any]], None]
CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, classes)
    def forward(self, x):
        return self.head(self.drop(self.body(x)))

class Sized(Net):
    def __init__(self, classes):
        super().__init__(classes)

def example_input():
    return torch.ones(3, 4)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "offered_net.py").write_text(CODE)
    return tmp_path


def weights(first: str, second: str, classes: int = 3, value: float = 0.25) -> dict[str, torch.Tensor]:
    shapes = {f"{first}.weight": (6, 4), f"{first}.bias": (6,), f"{second}.weight": (classes, 6)}
    return {name: torch.full(shape, value) for name, shape in {**shapes, f"{second}.bias": (classes,)}.items()}


def setup_of(folder: Path, content: Any, name: str = "Net") -> Setup:
    torch.save(content, folder / "run.pt")
    return Setup(f"{folder}/offered_net.py:{name}", str(folder / "run.pt"), str(folder))


def press(banner: Banner, name: str) -> None:
    QTest.mouseClick(banner.button(name), Qt.MouseButton.LeftButton)


def fail_to_open(qtbot: QtBot, stage: Offscreen, setup: Setup) -> None:
    with qtbot.waitSignal(stage.session.problem, timeout=PATIENCE):
        stage.session.open(setup)


def test_a_checkpoint_of_other_names_is_aligned_by_a_button(
    stage: Offscreen, after: After, qtbot: QtBot, folder: Path
) -> None:
    fail_to_open(qtbot, stage, setup_of(folder, weights("encoder.input", "encoder.output")))
    trouble, notes = stage.window.messages.trouble, stage.window.messages.notes
    assert "4 tensors may be among the model's 4" in trouble.text()
    after(stage, lambda: press(trouble, "align"))
    report = stage.session.model.report if stage.session.model is not None else None
    assert report is not None and (report.loaded, report.missing, len(report.aligned)) == (4, [], 4)
    assert "were loaded as aligned" in notes.text() and trouble.text() == ""
    with qtbot.waitSignal(stage.session.opened, timeout=PATIENCE):
        stage.session.restart()  # what was agreed to once holds for the same model after a crash
    assert stage.session.model is not None and stage.session.model.report is not None
    assert stage.session.model.report.loaded == 4


def test_the_overlap_of_other_shapes_is_loaded_by_a_button(stage: Offscreen, after: After, folder: Path) -> None:
    assert stage.open(setup_of(folder, weights("body", "head", classes=5)))
    notes = stage.window.messages.notes
    assert "2 have another shape and were not loaded" in notes.text()
    after(stage, lambda: press(notes, "partial"))
    assert stage.session.model is not None and stage.session.model.report is not None
    assert stage.session.model.report.partial == ["head.weight", "head.bias"]
    assert "21 of their 21 values are the checkpoint's" in notes.text()
    assert "not loaded" not in notes.text()


def test_the_averaged_copy_is_taken_by_a_button(stage: Offscreen, after: After, folder: Path) -> None:
    content = {"model": weights("body", "head", value=0.25), "ema": weights("body", "head", value=0.5)}
    assert stage.open(setup_of(folder, content))
    notes = stage.window.messages.notes
    assert "model was taken" in notes.text()
    after(stage, lambda: press(notes, "key:ema"))
    setup, model = stage.session.setup, stage.session.model
    assert setup is not None and setup.key == "ema"
    assert model is not None and model.report is not None and model.report.wrapper == "ema"


def test_arguments_that_the_checkpoint_names_open_the_model_by_a_button(
    stage: Offscreen, after: After, qtbot: QtBot, folder: Path
) -> None:
    content = {"state_dict": weights("body", "head", classes=7), "hyper_parameters": {"classes": 7, "lr": 0.1}}
    fail_to_open(qtbot, stage, setup_of(folder, content, "Sized"))
    trouble = stage.window.messages.trouble
    assert "run.pt says classes=7 (under hyper_parameters)" in trouble.text()
    assert "offered_net.py:Sized(classes=7)" in trouble.text()
    after(stage, lambda: press(trouble, "arguments"))
    assert stage.session.setup is not None and stage.session.setup.spec.endswith("Sized(classes=7)")
    report = stage.session.model.report if stage.session.model is not None else None
    assert report is not None and report.mismatched == [] and report.loaded == 4


def test_another_checkpoint_for_the_open_model_is_aligned_by_the_same_button(
    stage: Offscreen, after: After, qtbot: QtBot, folder: Path
) -> None:
    assert stage.open(setup_of(folder, weights("body", "head")))
    torch.save(weights("encoder.input", "encoder.output", value=0.75), folder / "other.pt")
    with qtbot.waitSignal(stage.session.problem, timeout=PATIENCE):
        stage.session.load_checkpoint(str(folder / "other.pt"))
    model, setup = stage.session.model, stage.session.setup
    assert model is not None and model.report is not None and model.report.path.endswith("run.pt")
    assert setup is not None and not setup.align  # what failed leaves everything as it was
    after(stage, lambda: press(stage.window.messages.trouble, "align"))
    model, setup = stage.session.model, stage.session.setup
    assert model is not None and model.report is not None and len(model.report.aligned) == 4
    assert setup is not None and setup.align and setup.checkpoint == str(folder / "other.pt")
