"""The Output page shows exactly the figures it is given, says how they were got, and lets them be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRect
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.output_data import Bars, Choice, Histogram, OutputData, SameRow, Series
from modelight.widgets.output_page import OutputPage
from modelight.widgets.output_plots import figures, places
from modelight.widgets.same_strip import difference, two_figures

Dress = Callable[[theme.Tokens], None]
NAN = float("nan")


def bars(heights: list[float], **more: Any) -> Bars:
    nothing = np.full(len(heights), NAN)
    filled: dict[str, Any] = {"spread": nothing, "labels": nothing, "before": nothing} | {
        name: np.array(value) if isinstance(value, list) else value for name, value in more.items()
    }
    captions = filled.pop("captions", tuple(f"s{index}" for index in range(len(heights))))
    return Bars(np.array(heights), filled.pop("spread"), filled.pop("labels"), filled.pop("before"), captions, **filled)


def data(**more: Any) -> OutputData:
    filled: dict[str, Any] = {
        "mode": "train",
        "view": "column",
        "choice": Choice("", "softmax", 0, None),
        "fields": ("",),
        "reading": "softmax",
        "readings": ("softmax", "sigmoid", "raw"),
        "columns": 2,
        "class_names": ("even", "odd"),
        "bars": bars([0.56, 0.55], spread=[0.02, 0.01], labels=[1.0, 0.0]),
        "bounded": True,
        "runs": 16,
        "batch": 1,
        "samples": ("4", "1"),
        "same": (
            SameRow("again", np.array([0.52, 0.59]), "differs", 0.52, 0.59, 16),
            SameRow("company", np.array([0.56, 1.0]), "differs", 0.56, 0.9996, 16, 7),
            SameRow("another", np.array([0.54, 0.56]), "hardly", 0.54, 0.56, 12, 4),
        ),
        "histogram": Histogram(
            np.array([-0.5, 0.0, 0.5]),
            (Series("0", np.array([3.0, 1.0])), Series("1", np.array([0.0, 4.0]))),
            2,
            12,
            16,
        ),
    }
    return OutputData(**(filled | more))


@pytest.fixture
def page(qtbot: QtBot) -> OutputPage:
    made = OutputPage()
    qtbot.addWidget(made)
    made.resize(641, 793)
    made.set_data(data())
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_title_and_how_the_bars_were_got(page: OutputPage) -> None:
    assert page.title.text() == "Probability of class 0, even"
    assert page.heading.subtitle.text() == "mean of 16 runs, one at a time"
    assert page.runs_texts(data()) == [
        "mean of 16 runs, one sample at a time",
        "mean of 16 runs, one at a time",
        "mean of 16 runs",
    ]
    assert page.reading.text() == "softmax"
    assert page.reading.toolTip() == "softmax of the raw output"
    assert [entry.text for entry in page.heading.legend.entries()] == ["label", "± 1 s.d."]


def test_the_figures_above_the_bars(page: OutputPage) -> None:
    assert list(page.samples.figures.texts()) == ["0.56", "0.55"]
    assert page.samples.whiskers.drawn() == 2


def test_without_spread_there_is_no_whisker_and_no_word_of_it(page: OutputPage) -> None:
    page.set_data(data(bars=bars([1.0, 0.0], spread=[0.0, 0.0]), mode="eval", runs=16, batch=8))
    assert page.samples.whiskers.drawn() == 0
    assert page.heading.legend.entries() == ()
    assert page.heading.subtitle.text() == "16 runs, 8 samples at a time"
    page.set_data(data(bars=bars([1.0, 0.0]), runs=1))
    assert page.heading.subtitle.text() == "1 run, one sample at a time"


def test_before_is_named_in_the_legend(page: OutputPage) -> None:
    page.set_data(data(mode="eval", before_mode="train", bars=bars([1.0, 0.0], before=[0.55, 0.55])))
    entries = page.heading.legend.entries()
    assert [(entry.text, entry.role) for entry in entries] == [("before, all train", "train_mark")]


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"class_names": ()}, "Probability of class 0"),
        ({"class_names": ("0", "1")}, "Probability of class 0"),
        ({"bounded": False, "reading": "raw"}, "Value 0, even"),
        ({"columns": 1, "bounded": False, "class_names": (), "reading": "raw"}, "Value per sample"),
        ({"columns": 1, "class_names": (), "reading": "sigmoid"}, "Probability"),
        ({"view": "top", "choice": Choice("", "softmax", 1, 1)}, "Largest probabilities of sample 1"),
        ({"view": "mean", "bounded": False, "reading": "raw"}, "Mean of each sample’s values"),
        ({"view": "none", "bars": bars([])}, "Output"),
    ],
)
def test_titles(page: OutputPage, changes: dict[str, Any], title: str) -> None:
    page.set_data(data(**changes))
    assert page.title.text() == title


def test_the_verdicts(page: OutputPage) -> None:
    spoken = [page.same.verdict(row) for row in page._data.same]  # type: ignore[union-attr]
    assert [one.verb + one.rest for one in spoken] == ["Differs by 0.07", "Differs, 0.56 → 1.00", "Hardly moves, 0.02"]
    assert [one.sign for one in spoken] == ["bad", "bad", "bad"]
    assert page.same.question(data().same[2]) == ("Run another input", "12 inputs, 4 of them noise")
    assert page.same.question(data().same[1]) == ("Run it in company", "alone, then among 7 others")


@pytest.mark.parametrize(
    ("verdict", "words", "sign"),
    [
        ("exact", "Same, bit for bit", "good"),
        ("rounding", "Same, up to rounding", "good"),
        ("noise", "Differs as repeats do", "none"),
        ("moves", "Moves, 0.00 to 1.00", "good"),
        ("none", "Not asked", "none"),
        ("nan", "Not a number among the answers", "bad"),
    ],
)
def test_other_verdicts(page: OutputPage, verdict: str, words: str, sign: str) -> None:
    spoken = page.same.verdict(SameRow("another", np.array([0.0, 1.0]), verdict, 0.0, 1.0, 2))  # type: ignore[arg-type]
    assert (spoken.verb + spoken.rest, spoken.sign) == (words, sign)


def test_figures_that_differ_never_look_equal() -> None:
    assert two_figures(0.991, 0.994, True) == ("0.991", "0.994")
    assert two_figures(0.5, 1.0, True) == ("0.50", "1.00")
    assert difference(0.07, True) == "0.07"
    assert difference(0.0004, True) == "0.00040"


def test_values_share_their_decimals() -> None:
    nothing = np.full(2, NAN)
    assert figures(np.array([44.9, -9.18]), nothing, False) == ["44.9", "−9.2"]
    assert figures(np.array([0.999, NAN]), nothing, True) == ["1.00", ""]
    assert figures(np.array([-0.001, 2.0]), nothing, False) == ["0.00", "2.00"]
    assert figures(np.array([1e7, 1.0]), nothing, False)[0] == "1.00e7"


def test_noise_stands_apart() -> None:
    np.testing.assert_array_equal(places((False, False, True, True), 4), [0.0, 1.0, 2.5, 3.5])
    np.testing.assert_array_equal(places((), 3), [0.0, 1.0, 2.0])


def choose(page: OutputPage, qtbot: QtBot, button: str, text: str) -> Choice:
    menu = getattr(page, button).fill()
    actions = [action for action in menu.actions() if action.text() == text]
    actions += [
        action for below in menu.actions() if below.menu() for action in below.menu().actions() if action.text() == text
    ]
    with qtbot.waitSignal(page.choice_changed) as caught:
        actions[0].trigger()
    return caught.args[0]  # type: ignore[no-any-return]


def test_another_class_sample_reading_or_field_is_asked_for(page: OutputPage, qtbot: QtBot) -> None:
    page.set_data(data(columns=3, class_names=("a", "b", "c"), fields=("", "aux")))
    assert choose(page, qtbot, "title", "Class 1, b") == Choice("", "softmax", 1, None)
    assert choose(page, qtbot, "title", "1  1") == Choice("", "softmax", None, 1)
    assert choose(page, qtbot, "reading", "raw values") == Choice("", "raw", 0, None)
    assert choose(page, qtbot, "field", "aux") == Choice(field="aux")
    assert page.field.isVisibleTo(page)
    page.set_data(data())
    assert not page.field.isVisibleTo(page)


def test_values_that_are_no_numbers_are_said(page: OutputPage) -> None:
    page.set_data(data(not_finite=3))
    assert page.bad_values.text() == "3 values are NaN or infinite"
    page.set_data(data())
    assert page.bad_values.text() == ""


def test_what_the_histogram_counts(page: OutputPage) -> None:
    assert page.raw_heading.subtitle.text() == "2 values × 12 inputs × 16 runs, log count"
    assert [entry.text for entry in page.raw_heading.legend.entries()] == ["even", "odd"]
    assert [tuple(row) for row in page.raw.table().rows] == [(-0.5, 0.0, 3, 0), (0.0, 0.5, 1, 4)]
    sampled = replace(data().histogram, sampled=(16384, 3211264), series=(Series("", np.array([1.0, 1.0])),))  # type: ignore[type-var]
    page.set_data(data(histogram=sampled))
    assert page.raw_heading.subtitle.text() == "sampled 16\u202f384 of 3\u202f211\u202f264 values, log count"


def test_the_probability_axis_never_moves(page: OutputPage) -> None:
    before = page.samples.viewRange()
    page.set_data(data(mode="eval", bars=bars([1.0, 0.01])))
    assert page.samples.viewRange() == before


def test_one_value_of_a_thousand_classes_gets_an_axis_it_can_be_seen_on(page: OutputPage) -> None:
    many = data(columns=1000, class_names=(), bars=bars([0.02, 0.01]))
    page.set_data(many)
    assert page.samples.viewRange()[1][1] < 0.05
    page.set_data(replace(many, bars=bars([0.02, 0.01], labels=[1.0, 0.0])))
    assert page.samples.viewRange()[1][1] > 1


def test_an_output_without_samples_is_said_so(page: OutputPage) -> None:
    page.set_data(data(view="none", bars=bars([]), same=()))
    assert page.unseen.isVisibleTo(page)
    assert not page.samples.isVisibleTo(page)
    assert not page.same.isVisibleTo(page)


def test_bars_are_in_the_colour_of_the_mode_in_both_themes(page: OutputPage, picture: Any, dressed: Dress) -> None:
    def tops() -> tuple[int, int]:
        shown = picture(page.samples)
        return shown.count("train_mark"), shown.count("eval_mark")

    for tokens in (theme.LIGHT, theme.DARK):
        dressed(tokens)
        page.set_data(data())
        page.retheme()
        assert tops()[0] > 60 and tops()[1] == 0
        page.set_data(data(mode="eval"))
        assert tops()[1] > 60 and tops()[0] == 0


def test_pictures_of_the_samples_stand_under_their_bars(page: OutputPage, picture: Any) -> None:
    white, black = np.full((8, 8), 255, np.uint8), np.zeros((8, 8), np.uint8)
    page.set_data(data(bars=bars([0.5, 0.5], thumbnails=np.stack([white, black]))))
    strip = picture(page.samples)
    under = strip.image.height() - 30
    middle = (strip.image.width() + 34) // 2
    left = {strip.image.pixel(x, under) for x in range(40, middle)}
    right = {strip.image.pixel(x, under) for x in range(middle, strip.image.width())}
    assert 0xFF000000 in right and 0xFF000000 not in left


@pytest.mark.parametrize("count", [1, 2, 64])
def test_any_number_of_samples(page: OutputPage, qtbot: QtBot, count: int) -> None:
    heights = list(np.linspace(0, 1, count))
    page.set_data(data(bars=bars(heights, captions=tuple(map(str, range(count)))), samples=tuple("a" * count)))
    assert len(page.samples.table().rows) == count
    page.grab()


def test_the_strip_paints_the_answers_and_the_signs(page: OutputPage, picture: Any) -> None:
    strip = picture(page.same)
    assert strip.count("attention", QRect(strip.image.width() // 2, 0, strip.image.width() // 2, 108)) > 4
    assert [row[0] for row in page.same.table().rows] == ["again", "again", "company", "company", "another", "another"]


def test_every_part_exports(page: OutputPage, tmp_path: Path) -> None:
    for name, part in (("bars", page.samples), ("same", page.same), ("raw", page.raw)):
        for kind in ("png", "svg", "csv"):
            path = tmp_path / f"{name}.{kind}"
            part.export.write(kind, path)
            assert path.stat().st_size > 20
    lines = (tmp_path / "bars.csv").read_text().splitlines()
    assert lines == ["caption,value,spread,label,before", "s0,0.56,0.02,1.0,", "s1,0.55,0.01,0.0,"]


@pytest.mark.parametrize("most", [1.0, 5.0, 99.0, 520.0, 1000.0, 9_999.0, 3e6])
def test_the_uppermost_count_has_room_for_its_number(page: OutputPage, most: float) -> None:
    """1 000 stood at the very edge of the plot, and was cut in half."""
    histogram = Histogram(np.array([0.0, 0.5, 1.0]), (Series("", np.array([most, 1.0])),), 2, 12, 16)
    page.raw.set_data(data(histogram=histogram))
    page.raw.reset_axes()
    end = page.raw.plotItem.getViewBox().viewRange()[1][1]
    assert end >= np.log10(most) + 0.25
    assert end >= max(place for place, _ in page.raw.left.ticks()) + 0.25


def test_what_is_no_probability_is_not_called_a_class(page: OutputPage) -> None:
    page.set_data(data(class_names=(), bounded=False, reading="raw"))
    assert [entry.text for entry in page.raw_heading.legend.entries()] == ["value 0", "value 1"]
    page.set_data(data(class_names=()))
    assert [entry.text for entry in page.raw_heading.legend.entries()] == ["class 0", "class 1"]
