"""The engine reads outputs as the Output page does."""

from __future__ import annotations

import numpy as np
import pytest

from modelight.engine.experiments import measure
from modelight.present.reading import read, readings
from modelight.protocol import Array, InputInfo, InputTensor, OutputField, Stats

RAW = np.array([[0.5, -2.0, 3.0], [1.0, 0.0, -1.0]])
SUMS = measure.read(RAW, "softmax")


def info(*, labels: list[int | None] | None = None, classes: list[str] | None = None) -> InputInfo:
    return InputInfo([], [InputTensor("[0]", (2, 3), "float32")], 2, [], [], labels or [None, None], classes or [])


@pytest.mark.parametrize(
    ("values", "name", "known", "expected"),
    [
        (RAW, "logits", info(), "softmax"),
        (RAW, "", info(), "raw"),  # shaped as its input
        (RAW[:, :2], "", info(), "softmax"),
        (RAW[:, :2], "boxes", info(), "raw"),
        (RAW, "", info(classes=["a", "b", "c"]), "softmax"),
        (RAW, "", info(labels=[2, 0]), "softmax"),
        (RAW, "", info(labels=[3, 0]), "raw"),
        (SUMS, "", info(), "probabilities"),
        (np.log(SUMS), "", info(), "log_probabilities"),
        (RAW[:, :1], "", info(), "raw"),
        (RAW[:, 1:2], "", info(labels=[1, 0]), "sigmoid"),
        (RAW[:, :1], "", info(labels=[1, 0]), "probabilities"),
        (SUMS[:, :1], "", info(classes=["no", "yes"]), "probabilities"),
    ],
)
def test_both_read_the_same(values: np.ndarray, name: str, known: InputInfo, expected: str) -> None:
    shape = values.shape
    stats = Stats(count=values.size, sampled=values.size, minimum=None, maximum=None, mean=None, std=None)
    packed = Array.of(values[None].astype(np.float32))
    field = OutputField(name, shape, "float32", False, None, False, stats, True, values=packed)
    page = readings(field, packed.numpy().astype(np.float64), known, tuple(known.classes))[0]
    found = measure.choose(packed.numpy().astype(np.float64), name=name, shape=shape, per_sample=True, info=known)
    assert found == page == expected
    np.testing.assert_array_equal(measure.read(values, found), read(values, page))


@pytest.mark.parametrize(("shape", "per_sample"), [((2, 3, 4), True), ((2, 4000), True), ((3,), False)])
def test_what_is_no_row_of_scores_is_read_raw(shape: tuple[int, ...], per_sample: bool) -> None:
    assert measure.choose(SUMS, name="logits", shape=shape, per_sample=per_sample, info=None) == "raw"


def test_distances() -> None:
    one, other = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    assert measure.apart(one, other, "probabilities") == 1.0
    assert measure.apart(one, other, "raw") == pytest.approx(2 / 3)
    assert measure.apart(one, other[:, :2], "raw") is None
    infinite = np.array([[np.inf, 1.0, 0.0]])
    assert measure.apart(infinite, infinite, "raw") == 0.0


def test_equal_runs_have_no_deviation() -> None:
    answer = measure.Answer.of(np.full((16, 1, 1), 0.1))
    assert answer.mean[0, 0] == 0.1 and answer.deviation[0, 0] == 0.0


def test_truths_and_indices_are_no_scores() -> None:
    given = {"name": "logits", "shape": RAW.shape, "per_sample": True, "info": info()}
    assert measure.choose(RAW, **given) == "softmax"  # type: ignore[arg-type]
    assert measure.choose(RAW, **given, floating=False) == "raw"  # type: ignore[arg-type]
