"""A checkpoint that only a full unpickle can read: never without consent, never in the window's process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from modelight.client import Client
from modelight.consent import Consent
from modelight.session import Session
from modelight.setup import Setup
from tests.process.conftest import PATIENCE, Notes

CODE = """
import torch

class Config:
    pass

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.config = Config()

def example_input():
    return torch.ones(3, 2)
"""
SAVE = """
import os, torch, model_of_mine

class Trap:
    def __reduce__(self):
        return (open, (os.environ["TRACE"], "w"))

net = model_of_mine.Net()
torch.save({"state_dict": net.state_dict(), "args": Trap()}, "trap.pt")
"""


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that writes a file when it is unpickled."""
    import subprocess
    import sys

    monkeypatch.setenv("TRACE", str(tmp_path / "was-run"))
    (tmp_path / "model_of_mine.py").write_text(CODE)
    subprocess.run([sys.executable, "-c", SAVE], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": "."})
    assert not (tmp_path / "was-run").exists()
    return tmp_path


def test_consent_is_asked_names_the_globals_and_is_remembered_for_the_file(qtbot: QtBot, trap: Path) -> None:
    trusted: set[str] = set()
    session = Session(Client(), trusted=trusted.__contains__)
    notes = Notes(session)
    setup = Setup(f"{trap}/model_of_mine.py:Net", str(trap / "trap.pt"), str(trap))
    try:
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE) as asked:
            session.open(setup)
        consent = asked.args[0]
        assert isinstance(consent, Consent)
        assert any(name.endswith("open") for name in consent.globals)
        assert "trap.pt" in consent.sentence and len(consent.sha256) == 64
        assert not (trap / "was-run").exists() and session.model is None and notes.problems == []

        with qtbot.waitSignal(session.opened, timeout=PATIENCE):
            consent.agree()
        assert (trap / "was-run").exists()
        assert session.model is not None and session.model.report is not None and session.model.report.loaded == 2

        trusted.add(consent.sha256)
        asked_again: list[object] = []
        session.consent_needed.connect(asked_again.append)
        with qtbot.waitSignal(session.opened, timeout=PATIENCE):
            session.open(setup)
        assert asked_again == []

        (trap / "trap.pt").write_bytes((trap / "trap.pt").read_bytes() + b"\0")
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE):
            session.open(setup)
    finally:
        session.close()
