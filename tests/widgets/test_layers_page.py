"""The Layers page: every module a row, both modes in their colours, the first parting marked."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.layers_data import LayerRow, LayersData, Spread
from modelight.widgets.layers_delegate import density, figures, own_range
from modelight.widgets.layers_page import LayersPage

Dress = Callable[[theme.Tokens], None]


def spread(mean: float, std: float, low: float = -1.0, high: float = 1.0, **more: Any) -> Spread:
    filled: dict[str, Any] = {"has_nan": False, "has_infinite": False, "sampled": 100, "count": 100} | more
    return Spread(low, high, np.array([10.0, 80.0, 10.0]), mean, std, low, high, **filled)


def layer(path: str, **more: Any) -> LayerRow:
    filled: dict[str, Any] = {
        "name": path,
        "type": "Conv2d",
        "shape": (1, 16, 8, 8),
        "calls": 1,
        "now": spread(0.1, 0.5),
        "other": spread(0.2, 0.25, -0.5, 0.5),
    }
    return LayerRow(path, **(filled | more))


def data(*rows: LayerRow, other: str | None = "train") -> LayersData:
    return LayersData(rows or (layer("conv"), layer("bn", parts=True), layer("head")), "eval", other)  # type: ignore[arg-type]


@pytest.fixture
def page(qtbot: QtBot) -> LayersPage:
    made = LayersPage()
    qtbot.addWidget(made)
    made.resize(641, 600)
    made.set_data(data())
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_model_is_a_model(page: LayersPage, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(page.model)
    page.set_data(data(layer("a"), layer("b")))
    page.set_data(data(layer("a"), layer("b", now=None)))
    qtmodeltester.check(page.model)


def test_the_verdict(page: LayersPage) -> None:
    assert page.verdict.text() == "In the order of the forward, train and eval first part at bn."
    page.set_data(data(layer("a"), layer("b", other=None)))
    assert page.verdict.text() == "No module’s output differs between the modes, of 1 compared."
    page.set_data(replace(data(layer("a")), by_chance=True))
    assert page.verdict.text() == "No module’s output differs more than other random draws may make it, of 1 compared."
    page.set_data(data(layer("a", other=None), other=None))
    assert page.verdict.text().startswith("The other mode was not run")


def test_figures_share_their_decimals() -> None:
    assert figures(layer("a")) == ["0.100 ± 0.500", "0.200 ± 0.250"]
    assert figures(layer("a", now=spread(-12.345, 1.0), other=None)) == ["−12.3 ± 1.0"]
    assert figures(layer("a", now=spread(-0.0001, 2.0))) == ["0.00 ± 2.00", "0.20 ± 0.25"]
    assert figures(layer("a", now=spread(2e6, 1e6), other=None)) == ["2.0e6 ± 1.0e6"]
    assert figures(layer("a", now=spread(None, None), other=None)) == ["–"]  # type: ignore[arg-type]


def test_what_has_to_be_known(page: LayersPage) -> None:
    seen = page.delegate
    assert seen.warnings(layer("a", parts=True, now=spread(0, 1, has_nan=True))) == "the modes part here, NaN"
    assert seen.warnings(layer("a", other=spread(0, 1, has_infinite=True))) == "infinite"
    assert (
        seen.sampling(layer("a", now=spread(0, 1, sampled=16384, count=3211264)))
        == "sampled 16\u202f384 of 3\u202f211\u202f264"
    )
    assert seen.sampling(layer("a")) == ""
    assert seen.kind(layer("a", calls=3)) == "Conv2d   1 × 16 × 8 × 8, 3 calls"
    assert seen.words(layer("a", now=None, other=None, words="Not called in this run.")) == "Not called in this run."
    assert seen.words(layer("a", now=None, other=None, calls=0)) == "not called"


def test_densities_of_other_bins_are_comparable() -> None:
    wide, narrow = spread(0, 1, -1.5, 1.5), spread(0, 1, -0.75, 0.75)
    np.testing.assert_allclose(density(wide), [0.1, 0.8, 0.1])
    np.testing.assert_allclose(density(narrow), [0.2, 1.6, 0.2])
    assert own_range(layer("a")) == (-1.0, 1.0)
    low, high = own_range(layer("a", now=spread(3, 0, 3.0, 3.0), other=None))
    assert low < 3 < high


def test_a_click_selects_the_module(page: LayersPage, qtbot: QtBot) -> None:
    place = page.list.visualRect(page.model.index(2)).center()
    with qtbot.waitSignal(page.row_selected) as caught:
        qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert caught.args == ["head"]


def test_selecting_from_outside_is_silent(page: LayersPage, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(page.row_selected):
        page.select("bn")
    assert page.list.currentIndex().row() == 1
    page.select("gone")
    assert not page.list.selectionModel().hasSelection()


def test_300_modules_keep_scroll_and_selection(page: LayersPage, qtbot: QtBot) -> None:
    many = [layer(f"block.{index}") for index in range(300)]
    page.set_data(data(*many))
    page.select("block.250")
    top = page.list.verticalScrollBar().value()
    assert top > 0
    page.set_data(data(*[layer(f"block.{index}", now=spread(0.3, 0.1)) for index in range(300)]))
    assert page.list.verticalScrollBar().value() == top
    assert page.list.currentIndex().row() == 250


def test_both_modes_are_drawn_and_the_parting_is_marked(page: LayersPage, picture: Any, dressed: Dress) -> None:
    for tokens in (theme.LIGHT, theme.DARK):
        dressed(tokens)
        page.retheme()
        shown = picture(page.list.viewport())
        rows = [page.list.visualRect(page.model.index(index)) for index in range(3)]
        for rect in rows:
            assert shown.count("train_mark", rect) > 5
            assert shown.count("eval_mark", rect) > 5
        edges = [QRect(rect.left(), rect.top() + 10, 3, 20) for rect in rows]
        assert [shown.holds("attention", edge) for edge in edges] == [False, True, False]


def test_one_range_for_all_narrows_the_small_ones(page: LayersPage, picture: Any) -> None:
    wide = layer("wide", now=spread(0, 5, -10, 10), other=None)
    small = layer("small", other=None)
    page.set_data(data(small, wide, other=None))

    def extent() -> int:
        shown, rect = picture(page.list.viewport()), page.list.visualRect(page.model.index(0))
        wanted = theme.color("eval_mark").rgb()
        columns = [
            x
            for x in range(rect.width())
            if any(shown.image.pixel(x, y) == wanted for y in range(rect.top(), rect.bottom()))
        ]
        return max(columns) - min(columns)

    own = extent()
    page.range.button("shared").click()
    assert extent() < own / 5


def test_export(page: LayersPage, tmp_path: Path) -> None:
    for kind in ("png", "svg", "csv"):
        page.export.write(kind, tmp_path / f"layers.{kind}")
    with (tmp_path / "layers.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[1] == ["conv", "Conv2d", "1x16x8x8", "1", "eval", "0.1", "0.5", "-1.0", "1.0", "100", "100"]
    assert len(lines) == 7
    assert (tmp_path / "layers.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("room", "text"), [(160, "sampled 65\u202f536 of 3\u202f211\u202f264"), (100, "sampled 2\u00a0%")]
)
def test_how_many_values_were_sampled_is_never_cut(page: LayersPage, room: float, text: str) -> None:
    row = layer("a", now=spread(0, 1, sampled=65_536, count=3_211_264))
    assert page.delegate.sampling_fitting(row, room) == text
