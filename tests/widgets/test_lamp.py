"""Lamps: shape and colour by state, quiet ones smaller, none for nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPainter

from modelight.widgets import theme
from modelight.widgets.lamp import LampState, lamp_icon, paint_lamp
from modelight.widgets.signs import _PAINTERS, paint_sign


def painted(state: LampState, quiet: bool = False) -> QImage:
    image = QImage(36, 36, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(3)
    image.fill(theme.color("surface"))
    painter = QPainter(image)
    paint_lamp(painter, QPointF(6, 6), state, quiet)
    painter.end()
    return image


def area(image: QImage, token: str, half: str = "both") -> int:
    columns = {"both": range(36), "left": range(17), "right": range(19, 36)}[half]
    wanted = theme.color(token).rgb()
    return sum(image.pixel(x, y) == wanted for x in columns for y in range(36))


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
def test_train_is_a_filled_disc_and_eval_a_hollow_ring(
    tokens: theme.Tokens, dressed: Callable[[theme.Tokens], None]
) -> None:
    dressed(tokens)
    train, evaluate = painted("train"), painted("eval")
    # A disc of 9.5 at three pixels each: π/4 · 28.5² ≈ 638, less the antialiased rim.
    assert 520 < area(train, "train_mark") < 660
    assert train.pixelColor(18, 18) == theme.color("train_mark")
    assert area(train, "eval_mark") == 0
    assert area(evaluate, "eval_mark") > 150
    assert evaluate.pixelColor(18, 18) == theme.color("surface")
    assert area(evaluate, "train_mark") == 0


def test_mixed_is_filled_at_the_left_and_hollow_at_the_right() -> None:
    mixed = painted("mixed")
    assert area(mixed, "train_mark", "left") > 150
    assert area(mixed, "train_mark", "right") == 0
    assert area(mixed, "eval_mark", "right") > 60
    assert area(mixed, "eval_mark", "left") == 0


def test_pending_is_a_thin_grey_ring() -> None:
    pending = painted("pending")
    assert area(pending, "train_mark") == area(pending, "eval_mark") == 0
    assert area(pending, "text3") > 40
    assert pending.pixelColor(18, 18) == theme.color("surface")


@pytest.mark.parametrize("state", ["train", "eval", "mixed"])
def test_a_quiet_lamp_is_smaller(state: LampState) -> None:
    def covered(image: QImage) -> int:
        return 36 * 36 - area(image, "surface")

    assert covered(painted(state, quiet=True)) < 0.6 * covered(painted(state))


def test_none_paints_nothing() -> None:
    assert area(painted("none"), "surface") == 36 * 36


def test_the_icon_shows_the_lamp() -> None:
    image = lamp_icon("train").pixmap(12, 12).toImage()
    assert image.pixelColor(6, 6) == theme.color("train_mark")


@pytest.mark.parametrize("sign", list(_PAINTERS))
def test_every_sign_leaves_a_mark_within_its_box(sign: str) -> None:
    image = QImage(60, 60, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(3)
    image.fill(theme.color("surface"))
    painter = QPainter(image)
    paint_sign(painter, QPointF(10, 10), sign, theme.color("ink"))  # type: ignore[arg-type]
    painter.end()
    inked = [(x, y) for x in range(60) for y in range(60) if image.pixelColor(x, y) != theme.color("surface")]
    assert len(inked) > 20
    # Within 14 logical pixels around (10, 10).
    assert min(min(x, y) for x, y in inked) >= 9 and max(max(x, y) for x, y in inked) <= 51
