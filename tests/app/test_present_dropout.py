"""Rates, bands and survival against counts worked out by hand and against the binomial distribution itself."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from msgspec.structs import replace

from modelight.present.chance import binomial_band
from modelight.present.dropout import dropout_data
from modelight.present.history import RunHistory
from modelight.protocol import Clause, DropoutCapture, ModuleCapture
from modelight.widgets.dropout_data import DropoutData
from tests.app.frames import capture, drop, frame, output, row

ROWS = [row("", "Net", -1), row("drop", "Dropout", kind="dropout"), row("block", "Block")]
MASK = np.array([[1, 0, 0, 0], [1, 1, 0, 0]])


def shown(*runs: list[DropoutCapture], training: dict[int, bool | None] | None = None, repeats: int = 1) -> DropoutData:
    history = RunHistory()
    for index, drops in enumerate(runs):
        field = output(np.zeros((repeats, 2, 2)))
        history.add(frame([field], seed=index * repeats, dropouts=drops))
    data = dropout_data(history, ROWS, training)
    assert data is not None
    return data


def test_this_run_and_the_last_runs() -> None:
    data = shown([drop(1, "drop", 1 - MASK, 0.5)], [drop(1, "drop", MASK, 0.5)])
    site = data.sites[0]
    assert site.this_run is not None and site.last_runs is not None and site.survival is not None
    assert (site.this_run.dropped, site.this_run.total, site.this_run.share) == (3, 8, 0.375)
    assert (site.last_runs.dropped, site.last_runs.total, site.last_runs.runs) == (8, 16, 2)
    np.testing.assert_allclose(site.survival.kept, [0.5, 0.5, 0.5, 0.5])
    assert (site.survival.draws, site.survival.runs, site.survival.nominal) == (4, 2, 0.5)
    np.testing.assert_array_equal(site.mask, MASK)


def test_repeats_count_as_runs() -> None:
    site = shown([drop(1, "drop", MASK, 0.5, repeats=3)], repeats=3).sites[0]
    assert site.last_runs is not None and site.survival is not None
    assert (site.last_runs.dropped, site.last_runs.total, site.last_runs.runs) == (9, 24, 3)
    np.testing.assert_allclose(site.survival.kept, [0.0, 0.5, 1.0, 1.0])


def test_calls_are_kept_apart() -> None:
    calls = [drop(1, "drop", MASK, 0.5, call=0), drop(1, "drop", 1 - MASK, 0.5, call=1)]
    sites = shown(calls, calls).sites
    assert [site.calls for site in sites] == [2, 2]
    assert [site.last_runs.dropped for site in sites if site.last_runs] == [6, 10]


def test_another_p_is_another_experiment() -> None:
    site = shown([drop(1, "drop", MASK, 0.1)], [drop(1, "drop", MASK, 0.5)]).sites[0]
    assert site.last_runs is not None
    assert site.last_runs.runs == 1


def test_where_it_was_drawn() -> None:
    drops = [
        drop(1, "drop", MASK, 0.5),
        drop(2, "block", MASK, 0.5, function="F.dropout", source="net.py:3", follows_flag=False),
        drop(2, "block", MASK, 0.5, function="sdpa", unseen=Clause("fused-kernel")),
    ]
    data = shown(drops, training={1: True, 2: False})
    assert [site.place for site in data.sites] == ["layer", "function", "fused"]
    assert [site.mode for site in data.sites] == ["train", "eval", "eval"]
    assert data.sites[2].mask is None and data.sites[2].this_run is None
    assert data.sites[2].unseen


def test_off_has_no_rate() -> None:
    off = DropoutCapture(1, "drop", None, "Dropout", 0, "element", 0.3, True, False, 0.0)
    site = shown([off]).sites[0]
    assert (site.active, site.this_run, site.survival, site.mask) == (False, None, None, None)


def test_unknown_p_has_no_band() -> None:
    captured = drop(1, "drop", MASK, 0.5)
    unknown = DropoutCapture(**{name: getattr(captured, name) for name in captured.__struct_fields__} | {"p": None})
    site = shown([unknown]).sites[0]
    assert site.this_run is not None and site.this_run.band is None
    assert site.survival is not None and site.survival.nominal is None


def quantile(draws: int, p: float, level: float) -> int:
    below = 0.0
    for count in range(draws + 1):
        below += comb(draws, count) * p**count * (1 - p) ** (draws - count)
        if below >= level:
            return count
    return draws


@pytest.mark.parametrize(("draws", "p"), [(1, 0.5), (16, 0.2), (40, 0.05), (512, 0.5), (512, 0.9), (7, 0.99)])
def test_the_band_is_the_binomials(draws: int, p: float) -> None:
    low, high = binomial_band(draws, p)
    assert (round(low * draws), round(high * draws)) == (quantile(draws, p, 0.025), quantile(draws, p, 0.975))


def test_the_band_of_many_draws_is_close_to_the_normal_one() -> None:
    low, high = binomial_band(3_000_000, 0.1)
    reach = 1.959964 * np.sqrt(0.1 * 0.9 / 3_000_000)
    assert low == pytest.approx(0.1 - reach, abs=2e-6)
    assert high == pytest.approx(0.1 + reach, abs=2e-6)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certainty_has_no_width(p: float) -> None:
    assert binomial_band(100, p) == (p, p)


def test_a_layer_that_was_not_called_is_said_not_to_be() -> None:
    history = RunHistory()
    silent = ModuleCapture(1, 0, unseen=Clause("not-called"))
    history.add(frame([output(np.zeros((1, 2, 2)))], modules=[capture(0, [1.0]), silent, ModuleCapture(2, 0)]))
    data = dropout_data(history, ROWS, {1: False})
    assert data is not None
    (site,) = data.sites
    assert (site.path, site.active, site.mode, site.unseen) == ("drop", False, "eval", "Not called in this run.")


def test_a_module_known_for_its_functional_dropout_is_not_taken_for_a_layer() -> None:
    rows = [row("", "Net", -1, kind="functional_dropout")]
    history = RunHistory()
    drops = [drop(0, "", MASK, 0.5, function="F.dropout", source="net.py:3")]
    history.add(frame([output(np.zeros((1, 2, 2)))], dropouts=drops))
    data = dropout_data(history, rows)
    assert data is not None and data.sites[0].place == "function"


def test_calls_of_one_layer_are_numbered_wherever_they_stand() -> None:
    """Two cards of the same name stood on the page, of a layer called on two lines."""
    calls = [drop(1, "drop", MASK, 0.5, source="net.py:3"), drop(1, "drop", MASK, 0.5, source="net.py:9")]
    functions = [drop(2, "block", MASK, 0.5, function="F.dropout", source=f"net.py:{line}") for line in (3, 9)]
    data = shown([*calls, *functions])
    assert [(site.call, site.calls) for site in data.sites] == [(0, 2), (1, 2), (0, 1), (0, 1)]


def test_a_shared_layer_names_its_other_places() -> None:
    rows = [row("", "Net", -1), replace(row("drop", "Dropout", kind="dropout"), also_at=["again"])]
    history = RunHistory()
    history.add(frame([output(np.zeros((1, 2, 2)))], dropouts=[drop(1, "drop", MASK, 0.5)]))
    data = dropout_data(history, rows)
    assert data is not None and data.sites[0].also == ("again",)
