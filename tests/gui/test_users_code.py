"""Code that cannot be imported or built, as the window tells of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from modelight.client import engine_command
from modelight.problems import Problem
from modelight.setup import Setup
from modelight.shot import Offscreen

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self{arguments}):
        super().__init__()
        {line}
"""


@pytest.mark.parametrize(
    ("line", "arguments", "sentence", "first"),
    [
        ("self.a = nn.Conv2d(3, 4, 3, groups=2)", "", "in_channels must be divisible", "window_net.py"),
        ("def f(:", "", "SyntaxError: invalid syntax", "window_net.py"),
        ("import no_such_package", "", "“no_such_package”, which is not installed", "window_net.py"),
        ("raise ValueError('x' * 4_000_000)", "", "Net could not be built: ValueError: xxx", "window_net.py"),
        ("pass", ", width", "missing 1 required positional argument: 'width'", ""),
    ],
    ids=["raises", "syntax", "missing-package", "megabytes", "missing-argument"],
)
def test_a_constructor_that_fails_is_a_sentence_and_the_persons_own_frames(
    stage: Offscreen, tmp_path: Path, line: str, arguments: str, sentence: str, first: str
) -> None:
    top = line if line.startswith("import") else ""
    (tmp_path / "window_net.py").write_text(top + NET.format(line=line, arguments=arguments))
    told: list[Problem] = []
    stage.session.problem.connect(told.append)
    assert not stage.open(Setup(f"{tmp_path}/window_net.py:Net", directory=str(tmp_path)))
    trouble = stage.window.messages.trouble
    assert sentence in trouble.text() and len(trouble.text()) < 1200
    (problem,) = told
    frames = [text for text in problem.details.splitlines() if text.strip().startswith("File ")]
    assert not any("engine" in frame or "importlib" in frame for frame in frames)
    assert (first in frames[0]) if first else frames == []


def test_a_model_process_that_does_not_come_up_can_be_tried_again(stage: Offscreen, tmp_path: Path) -> None:
    """The interpreter lacks torch at first; the person installs it and presses Restart."""
    blocked = tmp_path / "torch.py"
    blocked.write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    stage.session._client._command = _python_that_finds_first(tmp_path)
    assert not stage.open(Setup("modelight.sample_models.digits_cnn:build"))
    trouble = stage.window.messages.trouble
    assert "has no torch. It needs Python 3.11 or later" in trouble.text()
    blocked.unlink()
    assert stage.settle(lambda: QTest.mouseClick(trouble.button("restart"), Qt.MouseButton.LeftButton))
    assert stage.session.model is not None and trouble.text() == ""


def _python_that_finds_first(folder: Path) -> list[str]:
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" PYTHONDONTWRITEBYTECODE=1 exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return engine_command(str(python))
