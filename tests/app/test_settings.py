"""What survives a restart, in a settings file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from modelight.settings import RECENT, Recent, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.ini"


def load(file: Path) -> Settings:
    return Settings(QSettings(str(file), QSettings.Format.IniFormat))


def test_recent_models_come_back_newest_first_and_once(file: Path) -> None:
    settings = load(file)
    for number in range(RECENT + 3):
        settings.add_recent(Recent(f"m{number}.py:Net", None, "/x"))
    settings.add_recent(Recent("m5.py:Net", None, "/x"))
    del settings
    recent = load(file).recent
    assert len(recent) == RECENT
    assert recent[0] == Recent("m5.py:Net", None, "/x")
    assert [entry.spec for entry in recent].count("m5.py:Net") == 1


def test_a_broken_list_counts_as_empty(file: Path) -> None:
    store = QSettings(str(file), QSettings.Format.IniFormat)
    store.setValue("recent", '[["only one"]]')
    assert Settings(store).recent == []


def test_layout_and_appearance_come_back(file: Path) -> None:
    settings = load(file)
    settings.appearance = "dark"
    settings.set_layout("window", QByteArray(b"abc"))
    del settings
    again = load(file)
    assert again.appearance == "dark"
    assert again.layout("window") == QByteArray(b"abc")
    assert again.layout("other") is None
