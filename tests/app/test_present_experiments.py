"""From the experiments' replies to what the page shows, with figures that can be checked by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelight import protocol as p
from modelight.present.experiments import LISTED, company_data, mc_data, repeat_data

INFO = p.InputInfo([], [], 3, ["4", "1", "noise"], [False] * 3, [0, 1, None], ["even", "odd"])


def packed(values: Any) -> p.Array:
    return p.Array.of(np.asarray(values, dtype=np.float32))


def point(size: int, first: float, deviation: float = 0.0, **more: Any) -> p.BatchPoint:
    values = [[first, 1 - first], [0.5, 0.5]]
    facts: dict[str, Any] = {
        "values": packed(values),
        "deviations": packed(np.full((2, 2), deviation)),
        "right": [1, 2],
    }
    return p.BatchPoint(size, **{**facts, **more})


def side(training: bool, *points: p.BatchPoint, **more: Any) -> p.BatchSide:
    return p.BatchSide(training, list(points), **more)


def found(*sides: p.BatchSide, **more: Any) -> p.BatchCurve:
    facts: dict[str, Any] = {
        "seed": 0, "runs": 4, "grad_mode": "no_grad", "samples": 3, "shown": 2, "sizes": [1, 2, 3], "field": "",
        "shape": (1, 2), "measure": "softmax", "labelled": 2, "sides": list(sides),
    }  # fmt: skip
    return p.BatchCurve(**{**facts, **more})


def row(index: int, path: str, parent: int) -> p.Row:
    return p.Row(path, path.rpartition(".")[2], parent, "Linear", "torch.nn.Linear", 0, False, 0)


ROWS = [row(0, "", -1), row(1, "a", 0), row(2, "b", 0)]


def test_company_that_moves_the_answer() -> None:
    data = company_data(found(side(True, point(1, 0.5), point(2, 0.8), point(3, 0.7))), INFO, ROWS)
    (curve,) = data.curves
    assert curve.effect == "differs"
    assert (curve.least, curve.most, curve.before, curve.after) == (1, 2, pytest.approx(0.5), pytest.approx(0.8))
    np.testing.assert_allclose(curve.means[0], [0.5, 0.8, 0.7], atol=1e-6)
    np.testing.assert_allclose(curve.right, 0.75)
    np.testing.assert_allclose(curve.right_deviations, np.std([0.5, 1.0], ddof=1))
    assert (data.subject.kind, data.subject.column, data.subject.name) == ("class", 0, "even")
    assert (data.low, data.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("first", "deviation", "effect"),
    [(0.5, 0.0, "same"), (0.5 + 1e-7, 0.0, "rounding"), (0.52, 0.2, "chance"), (0.9, 0.05, "differs")],
)
def test_what_counts_as_moved(first: float, deviation: float, effect: str) -> None:
    data = company_data(
        found(side(True, point(1, 0.5, deviation), point(2, first, deviation)), sizes=[1, 2]), INFO, ROWS
    )
    assert data.curves[0].effect == effect


def test_sizes_at_which_the_model_raises_are_gaps_with_a_reason() -> None:
    raised = p.BatchPoint(1, problem=p.Clause("raises", {"error": "one value"}))
    data = company_data(found(side(True, raised, point(2, 0.5), point(3, 0.9))), INFO, ROWS)
    (curve,) = data.curves
    assert curve.least == 2 and curve.problems == ("one value",) and np.isnan(curve.means[0, 0])
    assert np.isnan(curve.right[0]) and curve.effect == "differs"
    nowhere = company_data(found(side(True, raised, raised, raised)), INFO, ROWS).curves[0]
    once = company_data(found(side(True, raised, raised, point(3, 0.9))), INFO, ROWS).curves[0]
    assert (nowhere.effect, once.effect) == ("raises", "alone-raises")


def test_layers_are_leaves_and_of_many_those_that_mix() -> None:
    layers = [p.LayerCompany(index, one.path, "Linear", 0.1) for index, one in enumerate(ROWS)]
    one = side(True, point(1, 0.5), point(2, 0.6), first="b", mixing=["b"], layers=layers)
    (curve,) = company_data(found(one, sizes=[1, 2]), INFO, ROWS).curves
    assert [(layer.path, layer.mixes, layer.leading) for layer in curve.layers] == [
        ("a", False, False),
        ("b", True, True),
    ]
    rows = [row(0, "", -1), *(row(index, f"m{index}", 0) for index in range(1, LISTED + 5))]
    many = [p.LayerCompany(index, each.path, "Linear", 0.1) for index, each in enumerate(rows)]
    one = side(True, point(1, 0.5), point(2, 0.6), first="m3", mixing=["m3", "m9"], layers=many)
    (curve,) = company_data(found(one, sizes=[1, 2]), INFO, rows).curves
    assert [layer.path for layer in curve.layers] == ["m3", "m9"] and curve.hidden == LISTED + 2


def test_no_curve_has_its_reason() -> None:
    data = company_data(found(unseen=p.Clause("needs-samples")), INFO, ROWS)
    assert data.curves == () and "two samples" in data.unseen


def test_repeatability_shows_the_column_that_moves() -> None:
    source = p.RandomSource("numpy", False, True, True, 0.2, "a", "Noise", packed([[1.0, 5.0], [1.0, 9.0]]))
    reply = p.Repeatability(
        seed=1, runs=2, grad_mode="no_grad", samples=2, field="", shape=(2, 2), per_sample=True, measure="raw",
        same=packed([[1.0, 5.0]] * 2), other=packed([[1.0, 5.0], [1.1, 7.0]]), same_exact=True, same_apart=0.0,
        same_first=None, same_type="", other_exact=False, other_apart=1.0, other_first="a", other_type="Noise",
        sources=[source],
    )  # fmt: skip
    data = repeat_data(reply, INFO, "eval")
    assert (data.subject.kind, data.subject.column) == ("column", 0), "of two, the first"
    assert [one.question for one in data.rows] == ["same", "other", "numpy"]
    assert [one.differs for one in data.rows] == [False, True, True] and data.sources[0].first == "a"
    np.testing.assert_allclose(data.rows[1].values, [1.0, 1.1], atol=1e-6)


def test_mc_dropout_keeps_every_class_and_shows_the_widest() -> None:
    share = p.DropoutShare(1, "a", "Dropout", 0.5, 0.1, 1.0, "adds")
    reply = p.McDropout(
        seed=0, batch=1, passes=8, grad_mode="no_grad", samples=2, field="", shape=(1, 3), per_sample=True,
        measure="softmax", mean=packed([[0.2, 0.3, 0.5]] * 2), deviation=packed([[0.0, 0.1, 0.3]] * 2), evaluated=None,
        entropy=packed([1.0, 0.9]), expected_entropy=packed([0.8, 0.7]), spread=0.2, exact=False, nothing_on=0.0,
        site_passes=8, dropouts=[share],
    )  # fmt: skip
    data = mc_data(reply, INFO, outdated=True)
    assert data.subject.column == 2 and data.mean.shape == (2, 3) and data.outdated
    assert data.names == (), "two names for three classes name none"
    assert data.captions == ("4", "1") and data.evaluated is None
    assert [(one.path, one.share, one.verdict) for one in data.dropouts] == [("a", 1.0, "adds")]
