"""The Dropout page: the mask is the mask, the figures are the counts, and what is unseen or off is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.dropout_data import DropoutData, DropoutSite, Rate, Survival
from modelight.widgets.dropout_page import DropoutPage
from modelight.widgets.mask_image import MaskImage, RateAxis, index_ticks

Dress = Callable[[theme.Tokens], None]
MASK = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=np.uint8)


def site(**more: Any) -> DropoutSite:
    filled: dict[str, Any] = {
        "path": "drop",
        "call": 0,
        "calls": 1,
        "function": "Dropout",
        "place": "layer",
        "source": None,
        "unit": "element",
        "p": 0.2,
        "active": True,
        "follows_flag": True,
        "mode": "train",
        "alpha": False,
        "this_run": Rate(105, 512, (0.166, 0.236), 1),
        "last_runs": Rate(6500, 32768, (0.196, 0.204), 64),
        "survival": Survival(np.array([0.8, 0.79, 0.82, 0.8]), 1024, 64, 0.8, (0.775, 0.824)),
        "shape": (3, 4),
        "mask": MASK,
        "already_zero": 7,
        "inputs": 512,
    }
    return DropoutSite(**(filled | more))


def off(path: str, p: float) -> DropoutSite:
    nothing = dict.fromkeys(("this_run", "last_runs", "survival", "mask", "already_zero", "inputs"))
    return site(path=path, p=p, active=False, mode="eval", **nothing)


@pytest.fixture
def page(qtbot: QtBot) -> DropoutPage:
    made = DropoutPage()
    qtbot.addWidget(made)
    made.resize(641, 793)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(page: DropoutPage, qtbot: QtBot, *sites: DropoutSite, runs: int = 64) -> None:
    page.set_data(DropoutData(sites, runs))
    built = any(one.active for one in sites)
    qtbot.waitUntil(lambda: bool(page.cards()) or not built)


def test_the_figures_of_this_run_and_of_the_last_runs(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, site())
    card = page.cards()[0]
    assert card.rate.text() == "20.5\u00a0%"
    assert card.against.text() == "nominal 20\u00a0%, 105 of 512"
    assert card.badge.text() == "exact mask"
    assert card.zeros.text() == "Already zero: 7 of 512"
    assert (card.survival_title.text(), card.survival_note.text()) == ("Survival per unit", "in %, last 64 runs")
    page.span.button("last").click()
    assert card.rate.text() == "19.8\u00a0%"
    assert card.against.text() == "nominal 20\u00a0%,\n6\u202f500 of 32\u202f768"


@pytest.mark.parametrize(
    ("unit", "words", "rows"),
    [
        ("element", "single elements", "sample"),
        ("channel", "whole channels", "sample"),
        ("sample", "whole samples", "sample"),
        ("batch", "the whole batch", "forward"),
    ],
)
def test_what_one_draw_decides_over_in_words(page: DropoutPage, qtbot: QtBot, unit: str, words: str, rows: str) -> None:
    show(page, qtbot, site(unit=unit))
    card = page.cards()[0]
    assert card.what.text() == f"Dropout, {words}"
    assert card.picture.table().header[0] == rows


def test_whole_channels_are_tiles_with_surface_between(picture: Any, qtbot: QtBot) -> None:
    mask = MaskImage()
    qtbot.addWidget(mask)
    mask.resize(400, 200)
    mask.set_data(MASK, True, "channel", "sample")
    shown, area = picture(mask), mask.area()
    width, height = mask.cell()
    for (row, column), dropped in np.ndenumerate(MASK):
        middle = shown.at(area.left() + (column + 0.5) * width, area.top() + (row + 0.5) * height)
        assert middle == QColor(theme.LIGHT.surface if dropped else theme.LIGHT.mask)
    assert shown.at(area.left() + width, area.top() + height * 1.5) != QColor(theme.LIGHT.mask)


def test_elements_are_plain_pixels(picture: Any, qtbot: QtBot) -> None:
    mask = MaskImage()
    qtbot.addWidget(mask)
    mask.resize(400, 200)
    mask.set_data(MASK, False, "unit", "sample")
    shown, area = picture(mask), mask.area()
    width, height = mask.cell()
    for (row, column), dropped in np.ndenumerate(MASK):
        middle = shown.at(area.left() + (column + 0.5) * width, area.top() + (row + 0.5) * height)
        assert middle == QColor(theme.LIGHT.surface if dropped else theme.LIGHT.mask)
    assert mask.table().rows[1] == (1, 0, 1, 0, 0)


def test_a_wide_mask_keeps_its_share_of_pixels(picture: Any, qtbot: QtBot) -> None:
    mask = MaskImage()
    qtbot.addWidget(mask)
    mask.resize(400, 200)
    many = (np.random.default_rng(0).random((64, 256)) < 0.3).astype(np.uint8)
    mask.set_data(many, False, "unit", "sample")
    shown, area = picture(mask), mask.area().toRect()
    kept = shown.count("mask", area)
    assert abs(kept / (area.width() * area.height()) - (1 - many.mean())) < 0.03


@pytest.mark.parametrize(
    ("count", "most", "ticks"),
    [
        (32, 5, [0, 8, 16, 24, 31]),
        (16, 4, [0, 4, 8, 12, 15]),
        (1, 4, [0]),
        (3, 4, [0, 1, 2]),
        (256, 4, [0, 64, 128, 192, 255]),
    ],
)
def test_indices_on_the_axes(count: int, most: int, ticks: list[int]) -> None:
    assert index_ticks(count, most) == ticks


def test_the_rate_axis_shows_dot_nominal_and_band(picture: Any, qtbot: QtBot) -> None:
    axis = RateAxis()
    qtbot.addWidget(axis)
    axis.resize(208, 44)
    axis.set_data(0.5, 0.2, (0.1, 0.3), "train_mark")
    shown = picture(axis)
    assert shown.at(4 + 0.5 * 200, 14) == QColor(theme.LIGHT.train_mark)
    assert shown.at(4 + 0.2 * 200, 7).lightness() < 120
    inside, outside = shown.at(4 + 0.12 * 200, 9), shown.at(4 + 0.4 * 200, 9)
    assert inside != outside
    assert outside.alpha() == 0 or outside != inside


def test_unseen_gives_the_reason_and_no_figure(page: DropoutPage, qtbot: QtBot) -> None:
    nothing = dict.fromkeys(("this_run", "last_runs", "survival", "mask", "already_zero", "inputs"))
    show(page, qtbot, site(place="fused", function="sdpa", unseen="It is drawn inside a kernel.", **nothing))
    card = page.cards()[0]
    assert card.badge.text() == "unseen"
    assert card.reason.text() == "It is drawn inside a kernel."
    assert card.rate.text() == "–"
    assert not card.picture.isVisibleTo(page)
    assert card.survival is None
    fused = page.outside.texts()[1]
    assert fused[0] == "Inside a fused kernel" and fused[1].startswith("sdpa in drop")


def test_functions_are_listed_with_their_line(page: DropoutPage, qtbot: QtBot) -> None:
    called = site(
        path="block",
        function="F.dropout",
        place="function",
        source="/home/me/proj/net.py:31",
        follows_flag=False,
        p=0.1,
    )
    show(page, qtbot, called)
    assert page.outside.texts()[0] == (
        "Called as a function",
        "F.dropout in block, proj/net.py:31, p = 0.1, whatever the flag",
    )
    assert "called at proj/net.py:31" in page.cards()[0].what.text()
    assert page.cards()[0].whatever.text() == "It drops whatever the flag says."
    show(page, qtbot, site())
    assert page.outside.texts() == [
        ("Called as a function", "none in this run"),
        ("Inside a fused kernel", "none; such masks cannot be seen and would be listed here"),
    ]


def test_what_is_off_is_said_in_words(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, off("drop", 0.5), off("none", 0.0))
    assert page.summary.text() == "2 dropouts, both off"
    assert page.off.texts() == [
        ("drop", "off: p = 0.5 would drop in train"),
        ("none", "p = 0 drops nothing in either mode"),
    ]
    assert not page.span.isVisibleTo(page)


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ((), "Nothing in this model dropped anything in this run."),
        ((site(),), "1 dropout, on"),
        ((site(), site(path="b")), "2 dropouts, both on"),
        ((site(), site(path="b"), site(path="c")), "3 dropouts, all on"),
        ((site(), off("b", 0.1)), "2 dropouts, 1 on"),
        ((off("a", 0.1),), "1 dropout, off"),
    ],
)
def test_the_summary(page: DropoutPage, qtbot: QtBot, sites: tuple[DropoutSite, ...], words: str) -> None:
    show(page, qtbot, *sites)
    assert page.summary.text() == words


def test_several_calls_and_parts_of_masks_are_named(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, site(call=1, calls=2, shape=(128, 2048)))
    card = page.cards()[0]
    assert card.name.text() == "drop, call 2"
    assert card.part.text() == "the first 3 × 4 of a mask of 128 × 2\u202f048"


def test_of_many_only_those_in_view_are_built(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, *(site(path=f"layer.{index}.drop") for index in range(48)))
    assert len(page.cards()) < 10
    page.show_module("layer.40")
    qtbot.waitUntil(lambda: any(card.site and card.site.path == "layer.40.drop" for card in page.cards()))
    assert len(page.cards()) < 20


def test_new_data_keeps_the_cards(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, site())
    card = page.cards()[0]
    show(page, qtbot, site(this_run=Rate(128, 512, (0.2, 0.3), 1)))
    qtbot.waitUntil(lambda: card.rate.text() == "25.0\u00a0%")
    assert page.cards() == [card]


def test_survival_is_in_per_cent_of_the_draws(page: DropoutPage, qtbot: QtBot, tmp_path: Path) -> None:
    show(page, qtbot, site())
    plot = page.cards()[0].survival
    assert plot is not None
    np.testing.assert_allclose([row[1] for row in plot.table().rows], [80, 79, 82, 80])
    low, high = plot.viewRange()[1]
    assert low < 77 and high > 83
    for part in (plot, page.cards()[0].picture):
        for kind in ("png", "svg", "csv"):
            part.export.write(kind, tmp_path / f"x.{kind}")
            assert (tmp_path / f"x.{kind}").stat().st_size > 20


def test_colours_in_both_themes(page: DropoutPage, qtbot: QtBot, picture: Any, dressed: Dress) -> None:
    for tokens in (theme.LIGHT, theme.DARK):
        dressed(tokens)
        show(page, qtbot, site(mode="train"))
        page.retheme()
        shown = picture(page)
        assert shown.count("mask") > 200
        assert shown.count("train_mark") > 20
        assert shown.count("eval_mark") == 0


def test_a_function_that_drops_nothing_now_is_listed_as_off_with_its_line(page: DropoutPage, qtbot: QtBot) -> None:
    asks = off("net", 0.25)
    asks = replace(asks, function="F.dropout", place="function", source="/home/me/net.py:7")
    never = replace(asks, path="block", p=0.2, follows_flag=False)
    attention = replace(asks, path="attention", function="scaled_dot_product_attention", p=0.0)
    show(page, qtbot, asks, never, attention)
    assert page.outside.texts()[0] == (
        "Called as a function",
        "F.dropout in net, me/net.py:7, p = 0.25, off\n"
        "F.dropout in block, me/net.py:7, p = 0.2, off\n"
        "scaled_dot_product_attention in attention, me/net.py:7, p = 0, off",
    )
    assert [text for _, text in page.off.texts()] == [
        "off: p = 0.25 would drop in train",
        "off by its arguments, p = 0.2",
        "off by its arguments, p = 0",
    ]


def test_a_layer_that_was_not_called_says_so(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, replace(off("spare", 0.9), p=None, unseen="Not called in this run."))
    assert page.off.texts() == [("spare", "Not called in this run.")]


def test_a_very_long_path_leaves_the_figures_on_the_page(page: DropoutPage, qtbot: QtBot) -> None:
    path = ".".join(f"a_long_module_name_{index}" for index in range(20))
    show(page, qtbot, site(path=path))
    (card,) = page.cards()
    qtbot.waitUntil(lambda: card.badge.mapTo(page, card.badge.rect().topRight()).x() < page.width())
    assert card.name.text() == card.name.toolTip() == path


def test_a_shared_layer_says_so(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, site(also=("again", "b.drop")))
    assert page.cards()[0].what.text() == "Dropout, single elements, the same module as again, b.drop"


def test_lines_that_are_gone_are_not_seen_under_the_new_ones(page: DropoutPage, qtbot: QtBot) -> None:
    """They are deleted with the next event, but a picture may be taken before."""
    show(page, qtbot, off("a", 0.2), off("b", 0.2))
    page.set_data(DropoutData((off("c", 0.2),), 64))
    seen = [one.text() for one in page.off.findChildren(QLabel) if one.isVisibleTo(page.off)]
    assert "Off in this run" in seen
    assert not {"a", "b"} & set(seen)


def test_a_wide_page_gives_its_room_to_the_plots(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, site())
    page.resize(641, 793)
    qtbot.waitUntil(lambda: page.cards()[0].axis.width() == 226)
    page.resize(1143, 793)
    qtbot.waitUntil(lambda: 350 < page.cards()[0].axis.width() <= 420)


def test_a_long_name_does_not_widen_the_page(page: DropoutPage, qtbot: QtBot) -> None:
    path = ".".join(["a_rather_long_module_name_that_nobody_would_shorten"] * 12)
    function = site(path=path, place="function", function="F.dropout", source=f"{path}/net.py:3")
    show(page, qtbot, off(path, 0.2), function)
    qtbot.waitUntil(lambda: page.page.widget().width() == page.page.viewport().width())
    assert page.page.widget().minimumSizeHint().width() <= 482 - 20


def test_a_long_name_leaves_the_words_their_half(page: DropoutPage, qtbot: QtBot) -> None:
    show(page, qtbot, off(".".join(["a_rather_long_module_name"] * 12), 0.2))
    words = page.off.findChildren(QLabel)[-1]
    qtbot.waitUntil(lambda: words.isVisible() and words.width() > 200)
