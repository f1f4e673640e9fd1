"""Labels hold what they are given, and never widen a page."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from modelight.widgets.labels import label

PATH = ".".join(["a_rather_long_module_name_that_nobody_would_shorten"] * 12)


def test_a_long_path_may_be_broken_and_reads_as_before(qtbot: QtBot) -> None:
    made = label(f"In train: {PATH} raises.", wrap=True)
    qtbot.addWidget(made)
    assert made.minimumSizeHint().width() < 160
    assert made.text() == f"In train: {PATH} raises."
    made.setText(PATH)
    assert made.text() == PATH


@pytest.mark.parametrize("text", ["0.55 ± 0.02", "1.5e-3", "a sentence. Another one", "3 of 4"])
def test_figures_and_sentences_are_not_broken(qtbot: QtBot, text: str) -> None:
    made = label(text, wrap=True)
    qtbot.addWidget(made)
    assert "\u200b" not in super(type(made), made).text()
