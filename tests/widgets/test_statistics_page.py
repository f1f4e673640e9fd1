"""The Statistics page: drift, medians and updates as given, and what the person asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF
from pytestqt.qtbot import QtBot

from modelight.widgets import paint, theme
from modelight.widgets.norm_cards import sigma
from modelight.widgets.statistics_data import NormCard, NormDetail, Seen, StatisticsData, Three
from modelight.widgets.statistics_page import StatisticsPage
from modelight.widgets.statistics_plots import bin_edges, shown_channels, sorted_channels

Dress = Callable[[theme.Tokens], None]
BATCH = np.array([0.1, 0.2, 0.3, 0.4])
DRIFT = np.array([0.2, 1.56, 0.4, np.nan])


def detail(**more: Any) -> NormDetail:
    filled: dict[str, Any] = {
        "path": "features.1",
        "type": "BatchNorm2d",
        "channels": 4,
        "uses": "batch",
        "updates": True,
        "momentum": 0.1,
        "forwards": 1,
        "batch_count": 512,
        "mean": Three(
            np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, -0.143, -0.143, -1.0]), np.array([0.0, 0.1, 0.1, 0.2])
        ),
        "variance": Three(np.full(4, 0.042), np.full(4, 0.211), np.full(4, 0.041)),
        "drift": DRIFT,
        "checkpoint_drift": np.array([0.01, 0.02, 0.03, 0.04]),
        "preview_largest": np.array([1.56, 1.45, 1.3]),
        "preview_median": np.array([0.42, 0.4, 0.38]),
        "seen": Seen(356, 336),
        "mode": "train",
    }
    return NormDetail(**(filled | more))


def data(one: NormDetail | None = None, cards: int = 3, **more: Any) -> StatisticsData:
    made = tuple(NormCard(f"features.{index}", 4, "train", DRIFT / (1 + abs(index - 1))) for index in range(cards))
    filled: dict[str, Any] = {"keep_updates": False, "moved": True} | more
    return StatisticsData(made, one or detail(), **filled)


@pytest.fixture
def page(qtbot: QtBot) -> StatisticsPage:
    made = StatisticsPage()
    qtbot.addWidget(made)
    made.resize(641, 793)
    made.set_data(data())
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_table_against_the_checkpoint(page: StatisticsPage) -> None:
    assert [(line.name, *line.figures) for line in page.table.lines()] == [
        ("Checkpoint held", "0.100", "0.041", "336"),
        ("Buffers now", "−0.143", "0.211", "356"),
        ("This batch has", "0.250", "0.042", "–"),
    ]
    assert page.table_heading.subtitle.text() == "20 updates were kept"


def test_cards_say_the_largest_drift(page: StatisticsPage) -> None:
    assert [page.cards.words(card) for card in data().cards] == [
        "largest drift 0.78 σ",
        "largest drift 1.56 σ",
        "largest drift 0.78 σ",
    ]
    assert page.cards.words(NormCard("x", 4, "eval", None, "Not called in this run.")) == "Not called in this run."
    assert page.cards.words(NormCard("x", 4, "eval", None)) == "Keeps no running statistics."
    assert page.cards.words(NormCard("x", 4, "eval", DRIFT, bad=1)) == "1 channel is broken"


def test_a_card_is_pressed(page: StatisticsPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.layer_selected) as caught:
        qtbot.mouseClick(page.cards, Qt.MouseButton.LeftButton, pos=page.cards.frame_of(2).center().toPoint())
    assert caught.args == ["features.2"]
    with qtbot.waitSignal(page.layer_selected) as caught:
        qtbot.keyClick(page.cards, Qt.Key.Key_Left)
    assert caught.args == ["features.0"]


def test_keep_updates_and_restore_are_asked_for(page: StatisticsPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.keep_updates_requested) as caught:
        qtbot.mouseClick(page.keep, Qt.MouseButton.LeftButton)
    assert caught.args == [True]
    with qtbot.waitSignal(page.restore_requested):
        qtbot.mouseClick(page.restore, Qt.MouseButton.LeftButton)
    page.set_data(data(keep_updates=True, moved=False))
    assert page.keep.isChecked()
    assert not page.restore.isEnabled()


def test_drift_is_sorted_and_what_has_none_is_left_out(page: StatisticsPage) -> None:
    assert list(sorted_channels(DRIFT)) == [1, 2, 0]
    assert [text for _, text in page.drift.bottom.ticks()] == ["1", "2", "0"]
    assert page.drift_note.text() == "channel, sorted by drift; 1 without variance"
    wide = detail(channels=512, drift=np.linspace(0, 2, 512), checkpoint_drift=None)
    page.set_data(data(wide))
    shown = len(page.drift.bottom.ticks())
    assert shown == shown_channels(512, page.drift.width()) <= 10
    assert page.drift_note.text() == f"the {shown} channels of 512 that drift most"
    assert [text for _, text in page.drift.bottom.ticks()][:2] == ["511", "510"]
    assert page.drift_heading.legend.entries() == ()
    assert shown_channels(16) == 16


def test_as_many_channels_are_shown_as_have_room_for_their_numbers(page: StatisticsPage) -> None:
    page.set_data(data(detail(channels=64, drift=np.linspace(0, 2, 64), checkpoint_drift=None)))
    for width in (296, 254, 193, 541):
        page.drift.resize(width, page.drift.height())
        ticks = page.drift.bottom.ticks()
        metrics = QFontMetricsF(paint.font(11))
        pitch = (width - 36) / len(ticks)
        assert max(metrics.horizontalAdvance(text) for _, text in ticks) + 3 < pitch
        assert page.drift_note.text() == f"the {len(ticks)} channels of 64 that drift most"
    assert len(ticks) == 14


def test_the_preview_says_its_first_step(page: StatisticsPage) -> None:
    assert page.preview.after.words() == "after 1 pass: largest 1.45, median 0.40"
    assert page.preview_note.text() == "further passes of this input, momentum 0.1"
    page.set_data(data(detail(momentum=None)))
    assert page.preview_note.text() == "further passes of this input, cumulative average"
    page.set_data(data(detail(updates=False)))
    assert page.preview_note.text() == "passes, were it in train, momentum 0.1"
    page.set_data(data(detail(preview_largest=None)))
    assert not page.preview.isVisibleTo(page)


def test_histograms_share_their_bins(page: StatisticsPage) -> None:
    edges = bin_edges(np.array([-0.1, 0.52]))
    assert edges[0] <= -0.1 and edges[-1] > 0.52
    assert len(edges) < 35
    assert len(bin_edges(np.array([3.0, 3.0]))) >= 2
    assert [row[0] for row in page.mean.table().rows] == [0, 1, 2, 3]
    assert page.mean.table().rows[1] == (1, 0.2, -0.143, 0.1)


def test_a_layer_without_running_statistics(page: StatisticsPage) -> None:
    bare = detail(
        mean=Three(np.ones(4), None, None),
        variance=Three(np.ones(4), None, None),
        drift=None,
        checkpoint_drift=None,
        preview_largest=None,
        preview_median=None,
        seen=Seen(None, None),
        forwards=3,
    )
    page.set_data(data(bare))
    assert "keeps no running statistics" in page.words.text()
    assert "mean over 3 forwards of 512 values" in page.words.text()
    assert not page.drift.isVisibleTo(page)
    assert page.table_heading.subtitle.text() == "no checkpoint holds this layer"
    assert [entry.text for entry in page.channel_heading.legend.entries()] == ["this batch"]


def test_53_layers_scroll_and_the_selected_one_is_in_view(page: StatisticsPage, qtbot: QtBot) -> None:
    page.set_data(data(detail(path="features.52"), cards=53))
    qtbot.waitUntil(lambda: page.card_scroll.verticalScrollBar().value() > 0)
    assert page.card_scroll.height() < 200
    frame = page.cards.selected_frame()
    assert frame is not None
    top = page.card_scroll.verticalScrollBar().value()
    assert top <= frame.top() and frame.bottom() <= top + page.card_scroll.height()


def test_axes_hold_while_the_layer_stays(page: StatisticsPage) -> None:
    before = page.mean.viewRange()
    narrow = Three(np.full(4, 0.1), np.full(4, 0.1), None)
    page.set_data(data(detail(mean=narrow)))
    assert page.mean.viewRange()[0] == before[0]
    page.set_data(data(detail(path="features.2", mean=narrow)))
    assert page.mean.viewRange()[0] != before[0]


def test_every_plot_exports(page: StatisticsPage, tmp_path: Path) -> None:
    for part in (page.mean, page.variance, page.drift, page.preview, page.table):
        for kind in ("png", "svg", "csv"):
            part.export.write(kind, tmp_path / f"x.{kind}")
            assert (tmp_path / f"x.{kind}").stat().st_size > 20
    page.preview.export.write("csv", tmp_path / "preview.csv")
    assert (tmp_path / "preview.csv").read_text().splitlines()[2] == "1,1.45,0.4"


def test_colours_in_both_themes(page: StatisticsPage, picture: Any, dressed: Dress) -> None:
    for tokens in (theme.LIGHT, theme.DARK):
        dressed(tokens)
        page.retheme()
        assert picture(page.mean).count("train_mark") > 10
        assert picture(page.mean).count("eval_mark") > 10
        assert picture(page.preview).holds("attention")
        assert picture(page.cards).count("ink") > 100


def test_one_value_per_channel_has_no_variance(page: StatisticsPage) -> None:
    page.set_data(data(detail(forwards=4, batch_count=1, preview_largest=None, preview_median=None)))
    assert "4 forwards of 1 value per channel" in page.words.text()
    assert "One value has no variance." in page.words.text()
    assert page.preview.isHidden()
    assert not page.preview_heading.isHidden()
    assert "more than one value per channel" in page.preview_heading.subtitle.text()


def test_a_momentum_of_zero_says_why_there_is_no_preview(page: StatisticsPage) -> None:
    page.set_data(data(detail(momentum=0.0, preview_largest=None, preview_median=None)))
    assert page.preview_heading.subtitle.text() == "momentum 0: no pass moves them"


def test_where_nothing_is_finite_no_axis_is_invented(page: StatisticsPage) -> None:
    nan = Three(np.full(4, np.nan), np.full(4, np.nan), np.full(4, np.nan))
    page.set_data(data(detail(mean=nan, variance=nan, drift=np.full(4, np.nan))))
    assert not page.mean.isVisible()
    assert "None of the values is finite" in page.words.text()
    page.set_data(data())
    assert page.mean.isVisible()


def test_a_model_without_a_checkpoint_is_not_said_to_have_one(page: StatisticsPage) -> None:
    page.set_data(data(loaded=False))
    assert page.table.lines()[0].name == "Built with"
    assert page.table_heading.title.text() == "Against the model as built"
    assert [entry.text for entry in page.channel_heading.legend.entries()][-1] == "as built"
    assert page.restore.text() == "Put back"


def test_a_drift_that_is_rounding_has_no_digits() -> None:
    written = [sigma(value) for value in (0.0, 1e-8, 0.005, 1.556, 39914.0)]
    assert written == ["0.00", "<0.01", "0.01", "1.56", "39\u202f914"]
