"""Paths in little room still tell modules apart."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFontMetricsF
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.paths import fitted_path, short_path

PATH = "resnet.encoder.stages.1.layers.0.normalization"


@pytest.fixture
def metrics(qtbot: QtBot) -> QFontMetricsF:
    return QFontMetricsF(theme.font(13))


@pytest.mark.parametrize(
    "shown",
    [
        PATH,
        "r.encoder.stages.1.layers.0.normalization",
        "r.e.stages.1.layers.0.normalization",
        "r.e.s.1.l.0.normalization",
    ],
)
def test_components_are_cut_from_the_left_and_numbers_stay(metrics: QFontMetricsF, shown: str) -> None:
    assert fitted_path(PATH, metrics, metrics.horizontalAdvance(shown)) == shown


def test_only_then_the_middle_goes(metrics: QFontMetricsF) -> None:
    room = metrics.horizontalAdvance("r.e.s.1.l.0.normal")
    shown = fitted_path(PATH, metrics, room)
    assert shown.startswith("r.e") and shown.endswith("tion") and "…" in shown
    assert metrics.horizontalAdvance(shown) <= room


def test_a_name_without_path_is_elided(metrics: QFontMetricsF) -> None:
    assert "…" in fitted_path("normalization", metrics, 40)
    assert fitted_path("head", metrics, 400) == "head"


def test_short_paths_in_sentences() -> None:
    assert short_path("encoder.layers.0.norm", 40) == "encoder.layers.0.norm"
    assert short_path("encoder.layers.0.attention.normalization", 28) == "e.l.0.a.normalization"
    long = short_path("x" * 90, 21)
    assert len(long) == 21 and long == "x" * 10 + "…" + "x" * 10
    assert short_path("", 10) == ""
