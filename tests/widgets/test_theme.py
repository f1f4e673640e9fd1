"""The theme: contrast computed from the tokens, fonts that are really the bundled ones, no colour outside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontInfo, QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.theme import DARK, LIGHT, Tokens

ROOT = Path(__file__).resolve().parents[2]
GROUNDS = ("surface", "selection")
WORDS = {
    "text": (*GROUNDS, "chrome", "sunken"),
    "text2": (*GROUNDS, "chrome", "sunken"),
    "text3": (*GROUNDS, "sunken", "chrome"),
    "train_words": (*GROUNDS, "train_tint"),
    "eval_words": (*GROUNDS, "eval_tint"),
    "attention": (*GROUNDS, "chrome", "attention_tint"),
    "confirmed": (*GROUNDS, "chrome"),
    "surface": ("ink",),
}
MARKS = {
    "train_mark": (*GROUNDS, "chrome", "train_tint"),
    "eval_mark": (*GROUNDS, "chrome", "eval_tint"),
    "ink": (*GROUNDS, "chrome"),
    "mask": GROUNDS,
    "confirmed": (*GROUNDS, "chrome"),
    "attention": (*GROUNDS, "chrome"),
}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize(("words", "ground"), [(words, ground) for words in WORDS for ground in WORDS[words]])
def test_words_keep_four_and_a_half_to_one(tokens: Tokens, words: str, ground: str) -> None:
    assert contrast(getattr(tokens, words), getattr(tokens, ground)) >= 4.5


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize(("mark", "ground"), [(mark, ground) for mark in MARKS for ground in MARKS[mark]])
def test_marks_keep_three_to_one(tokens: Tokens, mark: str, ground: str) -> None:
    assert contrast(getattr(tokens, mark), getattr(tokens, ground)) >= 3.0


def test_no_colour_literal_stands_outside_the_theme() -> None:
    literal = re.compile(
        r"""["']\#[0-9A-Fa-f]{3,8}\b | QColor\(\s*(\d|["']) | Qt\.GlobalColor\.(?!transparent) | \brgba?\(\s*\d""",
        re.VERBOSE,
    )
    rooms = [*(ROOT / "widgets").glob("*.py"), *(ROOT / "app").glob("*.py"), *(ROOT / "app/present").glob("*.py")]
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in rooms
        if file.name != "theme.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if literal.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("weight", [400, 500, 600])
def test_the_bundled_face_is_used_in_its_weight(weight: int) -> None:
    info = QFontInfo(theme.font(13, weight))
    assert info.family().startswith("Inter")
    assert info.weight() == weight
    assert info.pixelSize() == 13


def test_figures_are_tabular() -> None:
    metrics = QFontMetricsF(theme.font(13))
    assert metrics.horizontalAdvance("1111") == pytest.approx(metrics.horizontalAdvance("8888"))


def test_a_font_handed_out_can_be_changed_without_changing_the_next() -> None:
    theme.font(12).setPixelSize(40)
    assert theme.font(12).pixelSize() == 12


def test_apply_changes_palette_and_what_widgets_paint(
    qtbot: QtBot, qapp: QApplication, dressed: Callable[[Tokens], None]
) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.setProperty("ground", "surface")
    widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    assert widget.grab().toImage().pixelColor(5, 5).name().upper() == LIGHT.surface
    dressed(DARK)
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == DARK.chrome
    assert widget.grab().toImage().pixelColor(5, 5).name().upper() == DARK.surface


def test_the_follower_takes_what_the_person_chose(qtbot: QtBot, qapp: QApplication) -> None:
    follower = theme.ThemeFollower(qapp, "dark")
    assert theme.current() is DARK
    with qtbot.waitSignal(follower.changed):
        follower.set_choice("light")
    assert theme.current() is LIGHT
    follower.set_choice("system")
    assert theme.current() is theme.system_tokens()


def test_the_licence_of_the_font_is_there() -> None:
    text = (ROOT / "widgets/fonts/OFL.txt").read_text(encoding="utf-8")
    assert text.startswith("Copyright 2016-2022 The Inter Project Authors (https://github.com/rsms/inter)")
    assert "SIL OPEN FONT LICENSE Version 1.1" in text
    assert "OTHER DEALINGS IN THE FONT SOFTWARE." in text
