"""The plot in the house style: its ticks, its held axes, its export."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.axes import round_step, round_ticks, tick_texts
from modelight.widgets.export import Table
from modelight.widgets.marks import Bars, Dashes, Steps, ValueLabels, Whiskers
from modelight.widgets.plots import Plot

Dress = Callable[[theme.Tokens], None]


@pytest.fixture
def plot(qtbot: QtBot) -> Plot:
    made = Plot("figures", lambda: Table(("x", "y"), [(0, 0.25), (1, float("nan"))]), height=200)
    qtbot.addWidget(made)
    made.resize(400, 200)
    made.hold((-0.5, 1.5), (0.0, 1.0), "scope")
    bars = made.add(Bars())
    bars.set_data([0, 1], [0.5, 1.0], role="train_mark")
    made.add(ValueLabels()).set_data([0, 1], [0.5, 1.0], ["0.50", "1.00"])
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0, 1, 3, [0, 0.5, 1]),
        (-8.3, 8.3, 5, [-5, 0, 5]),
        (0, 97, 5, [0, 25, 50, 75]),
        (-0.07, 0.21, 4, [0, 0.1, 0.2]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert round_ticks(low, high, most) == pytest.approx(ticks)


def test_ticks_of_nothing() -> None:
    assert round_step(0.0, 5) == 1.0
    assert round_step(float("nan"), 5) == 1.0


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([-4.0, 0.0, 4.0], ["−4", "0", "4"]),
        ([0.0, 0.25, 0.5], ["0", "0.25", "0.5"]),
        ([0.0, 10000.0], ["0", "10\u202f000"]),
        ([0.0, 2e-6], ["0", "2.0e−6"]),
        ([], []),
    ],
)
def test_ticks_are_written_as_people_do(ticks: list[float], texts: list[str]) -> None:
    assert tick_texts(ticks) == texts


def test_ranges_hold_and_only_grow(plot: Plot) -> None:
    plot.hold((-0.5, 1.5), (0.0, 0.2), "scope")
    assert plot.viewRange()[1] == pytest.approx([0.0, 1.0])
    plot.hold((-0.5, 1.5), (0.0, 3.0), "scope")
    assert plot.viewRange()[1] == pytest.approx([0.0, 3.0])


def test_reset_axes_fits_the_present_data(plot: Plot) -> None:
    plot.hold((-0.5, 1.5), (0.0, 0.2), "scope")
    plot.reset_axes()
    assert plot.viewRange()[1] == pytest.approx([0.0, 0.2])


def test_something_else_starts_its_own_axes(plot: Plot) -> None:
    plot.hold((0.0, 1.0), (0.0, 0.2), "another")
    assert plot.viewRange() == [pytest.approx([0.0, 1.0]), pytest.approx([0.0, 0.2])]


def test_the_menu_is_our_own(plot: Plot) -> None:
    texts = [action.text() for action in plot.export.menu().actions() if not action.isSeparator()]
    assert texts == ["Export PNG…", "Export SVG…", "Export CSV…", "Reset axes"]


def test_png_has_twice_the_pixels(plot: Plot, tmp_path: Path) -> None:
    plot.export.write("png", tmp_path / "plot.png")
    image = QImage(str(tmp_path / "plot.png"))
    assert (image.width(), image.height()) == (2 * plot.width(), 2 * plot.height())
    colors = {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    assert theme.color("surface").rgb() in colors
    assert len(colors) > 4


def test_svg_is_drawn_not_photographed(plot: Plot, tmp_path: Path) -> None:
    plot.export.write("svg", tmp_path / "plot.svg")
    root = ElementTree.parse(tmp_path / "plot.svg").getroot()
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert "image" not in tags
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"0.50", "1.00", "0.5"} <= texts


def test_csv_keeps_full_precision_and_leaves_gaps_empty(plot: Plot, tmp_path: Path) -> None:
    plot.export.write("csv", tmp_path / "plot.csv")
    with (tmp_path / "plot.csv").open(encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["x", "y"], ["0", "0.25"], ["1", ""]]


@pytest.mark.parametrize("kind", ["png", "svg", "csv"])
def test_a_file_that_cannot_be_written_is_an_error(plot: Plot, tmp_path: Path, kind: str) -> None:
    with pytest.raises(OSError):
        plot.export.write(kind, tmp_path / "missing" / f"plot.{kind}")


def test_a_new_theme_recolours_the_same_items(plot: Plot, picture: Any, dressed: Dress) -> None:
    items = list(plot.plotItem.items)
    assert picture(plot).holds("train_mark")
    dressed(theme.DARK)
    plot.retheme()
    assert picture(plot).holds("train_mark")
    assert picture(plot).at(395, 3) == QColor(theme.DARK.surface)
    assert list(plot.plotItem.items) == items


def test_the_wheel_alone_scrolls_the_page(plot: Plot) -> None:
    def turn(modifiers: Qt.KeyboardModifier) -> bool:
        place = QPointF(200, 100)
        event = QWheelEvent(
            place, place, QPointF(0, 0).toPoint(), QPointF(0, 120).toPoint(), Qt.MouseButton.NoButton, modifiers,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        plot.wheelEvent(event)
        return event.isAccepted()

    assert not turn(Qt.KeyboardModifier.NoModifier)
    assert turn(Qt.KeyboardModifier.ControlModifier)


def test_no_whisker_where_no_spread_was_measured() -> None:
    whiskers = Whiskers()
    whiskers.set_data([0, 1, 2], [1, 1, 1], [0.1, 0.0, np.nan])
    assert whiskers.drawn() == 1
    whiskers.set_data([0], [1], None)
    assert whiskers.drawn() == 0


def column(image: QImage, x: float) -> set[int]:
    return {image.pixel(int(x), y) for y in range(image.height())}


def test_empty_bins_draw_nothing(plot: Plot, picture: Any) -> None:
    steps = plot.add(Steps())
    steps.set_data([-0.5, 0.0, 0.5, 1.0], [1.0, 0.0, 1.0], role="confirmed")
    view = plot.plotItem.getViewBox()
    image = picture(plot).image

    def at(x: float) -> set[int]:
        return column(image, plot.mapFromScene(view.mapViewToDevice(QPointF(x, 0.0))).x())

    assert theme.color("confirmed").rgb() not in at(0.25) & at(-0.25)
    assert len(at(-0.25) - at(0.25)) > 0


def test_dashes_at_the_ends_of_the_axis_stay_in_view(plot: Plot, picture: Any) -> None:
    plot.add(Dashes()).set_data([0, 1], [0.0, 1.0], role="attention", line=2)
    assert picture(plot).count("attention") > 40
