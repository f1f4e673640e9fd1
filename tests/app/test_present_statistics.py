"""Which layer is shown, what drifts, and what the update would take."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from modelight.present.history import RunHistory
from modelight.present.statistics import statistics_data
from modelight.protocol import Array, Clause, NormCapture
from modelight.widgets.statistics_data import NormDetail, StatisticsData
from tests.app.frames import frame, norm, output


def shown(*norms: NormCapture, selected: str | None = None, **more: object) -> StatisticsData:
    history = RunHistory()
    history.add(frame([output(np.zeros((1, 2, 2)))], norms=list(norms), **more))  # type: ignore[arg-type]
    data = statistics_data(history, selected, keep_updates=False)
    assert data is not None
    return data


def detail(data: StatisticsData) -> NormDetail:
    assert data.selected is not None
    return data.selected


CALM = norm(1, "a.bn", [[0.1, 0.0]], [0.0, 0.0], [1.0, 1.0])
WILD = norm(2, "b.bn", [[1.0, 3.0], [1.0, 5.0]], [0.0, 0.0], [1.0, 4.0])


def test_the_layer_that_drifts_most_is_shown_unless_one_is_selected() -> None:
    assert detail(shown(CALM, WILD)).path == "b.bn"
    assert detail(shown(CALM, WILD, selected="a")).path == "a.bn"
    assert detail(shown(CALM, WILD, selected="a.bn")).path == "a.bn"
    assert detail(shown(CALM, WILD, selected="head")).path == "b.bn"


def test_drift_is_in_running_deviations() -> None:
    data = shown(CALM, WILD)
    np.testing.assert_allclose(data.cards[1].drift, [1.0, 2.0])
    assert data.cards[1].largest == 2.0


def test_this_batch_is_the_mean_over_forwards_with_the_updates_variance() -> None:
    one = detail(shown(WILD))
    np.testing.assert_allclose(one.mean.batch, [1.0, 4.0])
    np.testing.assert_allclose(one.variance.batch, [11 / 10, 11 / 10])  # n / (n − 1) of 1, n = 11
    assert one.forwards == 2


def test_the_checkpoint_beside_the_buffers() -> None:
    kept = {"checkpoint_mean": Array.of(np.array([1.0, 4.0])), "checkpoint_var": Array.of(np.array([1.0, 16.0]))}
    moved = norm(2, "bn", [[1.0, 6.0]], [0.0, 0.0], [1.0, 4.0], checkpoint_tracked=10, **kept)
    data = shown(moved)
    assert data.moved
    np.testing.assert_allclose(detail(data).checkpoint_drift, [0.0, 0.5])
    assert (detail(data).seen.now, detail(data).seen.checkpoint) == (12, 10)
    same = norm(2, "bn", [[1.0, 6.0]], [1.0, 4.0], [1.0, 16.0], **kept)
    assert not shown(same).moved


def test_channels_without_variance_have_no_drift_and_are_called_broken() -> None:
    data = shown(norm(1, "bn", [[1.0, 1.0, 1.0]], [0.0, np.nan, 0.0], [1.0, 1.0, 0.0]))
    assert data.cards[0].bad == 2
    assert data.cards[0].largest == 1.0


def test_unseen_is_said() -> None:
    blank = NormCapture(1, "bn", "BatchNorm2d", 2, "running", False, 0.1, 1e-5, 3, unseen=Clause("not-called"))
    data = shown(blank, WILD)
    assert data.cards[0].words
    assert data.cards[0].largest is None
    assert detail(data).path == "b.bn"


def test_modes_of_the_cards() -> None:
    history = RunHistory()
    history.add(frame([output(np.zeros((1, 2, 2)))], train=1, eval=2, norms=[CALM, WILD]))
    data = statistics_data(history, None, True, {1: True, 2: False})
    assert data is not None
    assert [card.mode for card in data.cards] == ["train", "eval"]
    assert data.keep_updates


def test_nothing_where_there_is_no_norm() -> None:
    history = RunHistory()
    assert statistics_data(history, None, False) is None
    history.add(frame([output(np.zeros((1, 2, 2)))]))
    assert statistics_data(history, None, False) is None


def test_the_variance_of_one_value_is_not_shown_as_zero() -> None:
    one = norm(1, "bn", [[0.4, 0.2]], [0.0, 0.0], [1.0, 1.0])
    found = detail(shown(replace(one, batch_count=1)))
    assert found.variance.batch is None
    assert found.mean.batch is not None
