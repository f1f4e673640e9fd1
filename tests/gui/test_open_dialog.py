"""The dialog that opens a model takes what the command line takes; the file dialogs offer what the program reads."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from torch import nn

from modelight.open_dialog import OpenDialog, checkpoint_filter
from modelight.protocol import Noise
from modelight.shot import Offscreen

CODE = """
from torch import nn

class Net(nn.Module):
    pass
"""


@pytest.fixture
def dialog(qtbot: QtBot, tmp_path: Path) -> OpenDialog:
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "scripted.pt").write_bytes(b"")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    made = OpenDialog(["cpu", "cuda"], str(tmp_path))
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize(
    ("typed", "spec"),
    [
        ("net.py", "net.py:Net"),
        ("scripted.pt", "scripted.pt"),
        (" scripted.pt ", "scripted.pt"),
        ("bert", "bert"),
        ("on/another/host.torchscript", "on/another/host.torchscript"),
        ("torchvision.models:resnet18(num_classes=10)", "torchvision.models:resnet18(num_classes=10)"),
        ("", ""),
        ("elsewhere", ""),
        ("empty.py", ""),
    ],
)
def test_what_is_a_model_and_what_is_not_one_yet(dialog: OpenDialog, typed: str, spec: str) -> None:
    dialog.model.setText(typed)
    assert dialog.spec() == spec
    assert dialog.open_button.isEnabled() == bool(spec)
    assert dialog.callable.isEnabled() == typed.strip().endswith(".py")


def test_a_name_that_the_file_does_not_offer_can_be_typed(dialog: OpenDialog) -> None:
    dialog.model.setText("empty.py")
    dialog.callable.setFocus()
    QTest.keyClicks(dialog.callable.lineEdit(), "Net(classes=3)")
    assert dialog.open_button.isEnabled()
    QTest.keyClick(dialog.callable.lineEdit(), Qt.Key.Key_Return)
    assert dialog.result() == OpenDialog.DialogCode.Accepted
    assert dialog.setup().spec == "empty.py:Net(classes=3)"


def test_a_script_of_torch_is_opened_from_it(stage: Offscreen, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5))).save(str(tmp_path / "scripted.pt"))
    dialog = OpenDialog(["cpu"], str(tmp_path), stage.window)
    dialog.model.setText("scripted.pt")
    stage.open(replace(dialog.setup(), sources=[Noise(shape=(4,))]))
    assert not stage.problems
    assert stage.session.modes.train == 3


@pytest.mark.parametrize(
    "name", ["last.th", "weights.pt2", "net.model", "old.tar", "model.safetensors.index.json", "odd"]
)
def test_the_file_dialog_hides_no_checkpoint(name: str) -> None:
    kinds, everything = checkpoint_filter().split(";;")
    patterns = kinds.partition("(")[2].rstrip(")").split()
    assert any(Path(name).match(pattern) for pattern in patterns) or name == "odd"
    assert everything == "All files (*)"
