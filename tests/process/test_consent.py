"""A checkpoint that only a full unpickle can read: never without consent, never in the window's process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from modelight.checkpoint_window import inspect
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


def test_what_a_person_agreed_to_are_the_bytes_that_were_looked_at(qtbot: QtBot, trap: Path) -> None:
    """Each open has a process of its own, so the answer itself says which bytes it was about."""
    session = Session(Client())
    Notes(session)
    setup = Setup(f"{trap}/model_of_mine.py:Net", str(trap / "trap.pt"), str(trap))
    try:
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE) as asked:
            session.open(setup)
        (trap / "trap.pt").write_bytes((trap / "trap.pt").read_bytes() + b"\0")
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE) as anew:
            asked.args[0].agree()
        assert anew.args[0].sha256 != asked.args[0].sha256
        assert not (trap / "was-run").exists() and session.model is None
        with qtbot.waitSignal(session.opened, timeout=PATIENCE):
            anew.args[0].agree()
        assert session.setup is not None
        assert session.setup.trust == [asked.args[0].sha256, anew.args[0].sha256]

        (trap / "was-run").unlink()
        (trap / "trap.pt").write_bytes((trap / "trap.pt").read_bytes() + b"\0")
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE):
            session.restart()  # comes back with what was agreed to, which this file no longer is
        assert not (trap / "was-run").exists()
    finally:
        session.close()


def test_a_checkpoint_that_is_looked_at_by_itself_asks_anew_where_it_changed(qtbot: QtBot, trap: Path) -> None:
    session = Session(Client())
    seen: list[object] = []
    try:
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE) as asked:
            inspect(session, str(trap / "trap.pt"), lambda facts, trust: seen.append(trust))
        asked.args[0].agree()
        qtbot.waitUntil(lambda: seen == [[asked.args[0].sha256]], timeout=PATIENCE)
        (trap / "trap.pt").write_bytes((trap / "trap.pt").read_bytes() + b"\0")
        with qtbot.waitSignal(session.consent_needed, timeout=PATIENCE):
            inspect(session, str(trap / "trap.pt"), lambda facts, trust: seen.append(trust), trust=seen[0])  # type: ignore[arg-type]
        assert len(seen) == 1
    finally:
        session.close()
