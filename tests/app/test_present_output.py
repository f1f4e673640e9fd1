"""Readings, bars, verdicts and histograms against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from modelight.present.history import RunHistory
from modelight.present.output import output_data
from modelight.protocol import Array, SameAnswer, Stats
from modelight.widgets.output_data import Choice, OutputData, SameRow
from tests.app.frames import frame, inputs, output

EVEN_ODD = ("even", "odd")


def shown(history: RunHistory, info: object, *more: object) -> OutputData:
    data = output_data(history, info, *more)  # type: ignore[arg-type]
    assert data is not None
    return data


def logits(p: float) -> list[float]:
    """Two logits whose softmax gives class 0 the probability ``p``; they are no log-probabilities themselves."""
    return [float(np.log(p)) + 1.5, float(np.log(1 - p)) + 1.5]


def history_of(values: object, **more: object) -> RunHistory:
    history = RunHistory()
    history.add(frame([output(values)], **more))  # type: ignore[arg-type]
    return history


def test_softmax_mean_and_deviation_over_runs() -> None:
    history = history_of([[logits(0.5), logits(0.9)], [logits(0.7), logits(0.9)]])
    data = shown(history, inputs([0, 1], EVEN_ODD))
    assert (data.reading, data.view, data.bounded, data.runs) == ("softmax", "column", True, 2)
    np.testing.assert_allclose(data.bars.heights, [0.6, 0.9], atol=1e-6)
    np.testing.assert_allclose(data.bars.spread, [np.std([0.5, 0.7], ddof=1), 0.0], atol=1e-6)
    assert data.bars.spread[1] == 0.0
    np.testing.assert_array_equal(data.bars.labels, [1.0, 0.0])
    assert data.bars.captions == ("s0", "s1")


def test_one_run_measures_no_spread() -> None:
    data = shown(history_of([[logits(0.5), logits(0.9)]]), inputs([0, 1], EVEN_ODD))
    assert np.isnan(data.bars.spread).all()


def test_runs_of_several_frames_are_joined() -> None:
    history = history_of([[logits(0.5)]], seed=0)
    history.add(frame([output([[logits(0.7)]])], seed=1))
    data = shown(history, inputs([0], EVEN_ODD))
    assert data.runs == 2
    np.testing.assert_allclose(data.bars.heights, [0.6], atol=1e-6)


def test_the_other_mode_stays_as_a_ghost() -> None:
    history = history_of([[logits(0.55), logits(0.55)]])
    history.flags_changed()
    history.add(frame([output([[logits(0.99), logits(0.01)]])], train=0, eval=3))
    data = shown(history, inputs([0, 1], EVEN_ODD))
    assert (data.mode, data.before_mode) == ("eval", "train")
    np.testing.assert_allclose(data.bars.before, [0.55, 0.55], atol=1e-6)
    assert data.accuracy == (2, 2)
    assert data.histogram is not None
    assert data.histogram.series[0].before is not None
    assert data.histogram.series[0].before.sum() == 2


@pytest.mark.parametrize(
    ("values", "labels", "classes", "reading"),
    [
        ([[[0.2, 0.8], [1.0, 0.0]]], [None, None], (), "probabilities"),
        (np.log([[[0.2, 0.8], [0.5, 0.5]]]), [None, None], (), "log_probabilities"),
        ([[[2.0, -3.0], [0.1, 4.0]]], [None, None], (), "softmax"),
        ([[[2.0], [-3.0]]], [None, None], (), "raw"),
        ([[[2.0], [-3.0]]], [1, 0], (), "sigmoid"),
        ([[[0.2], [0.9]]], [1, 0], (), "probabilities"),
        ([[[0.2], [0.9]]], [None, None], (), "raw"),
        ([[[2.0, -3.0, 1.0], [0.1, 4.0, 1.0]]], [None, None], ("a", "b", "c"), "softmax"),
    ],
)
def test_how_numbers_are_read(values: object, labels: list[int | None], classes: tuple[str, ...], reading: str) -> None:
    assert shown(history_of(values), inputs(labels, classes)).reading == reading


def test_a_named_field_without_evidence_is_shown_raw() -> None:
    history = RunHistory()
    history.add(frame([output([[[2.0, -3.0], [0.1, 4.0]]], "boxes")]))
    data = shown(history, inputs([None, None]))
    assert data.reading == "raw"
    assert "softmax" in data.readings
    np.testing.assert_allclose(data.bars.heights, [2.0, 0.1], atol=1e-6)


def test_a_chosen_reading_wins_and_a_foolish_one_does_not() -> None:
    history = history_of([[[2.0, -3.0], [0.1, 4.0]]])
    info = inputs([None, None])
    assert shown(history, info, Choice(reading="raw")).bars.heights[0] == 2.0
    assert shown(history, info, Choice(reading="probabilities")).reading == "softmax"


def test_a_model_shaped_as_its_input_is_no_classifier() -> None:
    history = RunHistory()
    history.add(frame([output(np.ones((1, 2, 64)) * 3, shape=(1, 1, 8, 8))]))
    data = shown(history, inputs([None, None]))
    assert (data.view, data.reading) == ("mean", "raw")
    np.testing.assert_allclose(data.bars.heights, [3.0, 3.0])
    assert data.bars.spread[0] == 0.0


def test_many_classes_show_the_largest_of_one_sample() -> None:
    values = np.zeros((1, 2, 1000))
    values[0, 1, [7, 500]] = [20.0, 18.0]
    data = shown(history_of(values), inputs([3, 7]), Choice(sample=1))
    assert data.view == "top"
    assert data.bars.captions[:2] == ("7", "500")
    np.testing.assert_allclose(data.bars.heights[:2], [np.exp(2) / (1 + np.exp(2)), 1 / (1 + np.exp(2))], atol=1e-4)
    np.testing.assert_array_equal(data.bars.labels[:2], [1.0, np.nan])
    assert len(data.bars.heights) == 10
    assert shown(history_of(values), inputs([3, 7]), Choice(column=500)).view == "column"


def test_the_largest_is_the_largest_of_what_is_shown() -> None:
    # The mean logit is largest for class 0, the mean probability for class 2.
    runs = np.full((2, 1, 20), -30.0)
    runs[:, 0, 0], runs[0, 0, 1], runs[1, 0, 1] = 1.0, 3.0, -2.0
    runs[1, 0, 2] = 20.0
    data = shown(history_of(runs), inputs([None]), Choice(sample=0))
    assert data.choice.column == int(data.bars.captions[0]) == 2
    assert data.bars.heights[0] == max(data.bars.heights)


def test_what_did_not_cross_is_shown_per_sample() -> None:
    history = RunHistory()
    history.add(frame([output([[[1.0, 3.0], [5.0, 5.0]]], whole=True)]))
    data = shown(history, inputs([None, None]))
    assert data.view == "mean"
    np.testing.assert_allclose(data.bars.heights, [2.0, 5.0])
    np.testing.assert_allclose(data.bars.spread, [1.0, 0.0])
    assert data.histogram is not None
    assert data.histogram.series[0].counts.sum() == 4


def test_fields_are_chosen_by_name() -> None:
    history = RunHistory()
    history.add(frame([output([[[1.0, 2.0]]], "a"), output([[[7.0]]], "b")]))
    data = shown(history, inputs([None]), Choice(field="b"))
    assert data.fields == ("a", "b")
    np.testing.assert_array_equal(data.bars.heights, [7.0])
    assert shown(history, inputs([None]), Choice(field="gone")).choice.field == "a"


def test_not_a_number_is_counted_and_never_averaged_away() -> None:
    data = shown(history_of([[[np.nan, 1.0], [0.0, 0.0]]]), inputs([0, 1], EVEN_ODD))
    assert data.not_finite == 1
    assert np.isnan(data.bars.heights[0])
    assert data.accuracy == (0, 2)


def test_few_values_are_shown_each() -> None:
    data = shown(history_of([[[2.0, -3.0], [0.5, 4.0]]]), inputs([None, None]), Choice(column=1))
    assert data.histogram is not None
    assert [sorted(values) for values in data.histogram.rug] == [[-3.0, 4.0], [0.5, 2.0]]
    many = shown(history_of(np.zeros((1, 64, 2))), inputs([None] * 64))
    assert many.histogram is not None and many.histogram.rug == ()


def test_nothing_to_show_before_the_first_run() -> None:
    assert output_data(RunHistory(), inputs([0])) is None


# ------------------------------------------------------------------------------------------- same input, same answer?


def asked(again: object, alone: object, company: object, mates: int = 3) -> SameAnswer:
    parts = [np.asarray(part, dtype=np.float32) for part in (again, alone, company)]
    exact_again = bool((parts[0] == parts[0][0]).all())
    exact_company = parts[1].shape == parts[2].shape and bool((parts[1] == parts[2]).all())
    return SameAnswer("", *(Array.of(part) for part in parts), mates, exact_again, exact_company)


def rows_of(same: SameAnswer | None, values: object, **choice: object) -> dict[str, SameRow]:
    data = shown(history_of(values), inputs([0, 1], EVEN_ODD), Choice(**choice), same)  # type: ignore[arg-type]
    return {line.question: line for line in data.same}


STEADY = [logits(0.6)] * 3


def test_the_same_again_bit_for_bit() -> None:
    rows = rows_of(asked(STEADY, STEADY, STEADY), [[logits(0.6), logits(0.1)]])
    assert rows["again"].verdict == rows["company"].verdict == "exact"
    assert rows["another"].verdict == "moves"
    assert (round(rows["another"].low, 3), round(rows["another"].high, 3)) == (0.1, 0.6)


def test_differs_by_the_range_of_the_answers() -> None:
    rows = rows_of(asked([logits(0.5), logits(0.57)], STEADY[:2], STEADY[:2]), [[logits(0.6), logits(0.1)]])
    assert rows["again"].verdict == "differs"
    assert rows["again"].high - rows["again"].low == pytest.approx(0.07, abs=1e-6)


def test_company_changes_the_answer() -> None:
    rows = rows_of(asked(STEADY, STEADY, [logits(0.99)] * 3), [[logits(0.6), logits(0.6)]])
    company = rows["company"]
    assert (company.verdict, company.others) == ("differs", 3)
    assert (round(company.low, 2), round(company.high, 2)) == (0.6, 0.99)
    assert rows["another"].verdict == "hardly"


def test_rounding_is_not_a_difference() -> None:
    nearly = [[value + 1e-7 for value in STEADY[0]]] * 3
    assert rows_of(asked(STEADY, STEADY, nearly), [[logits(0.6), logits(0.1)]])["company"].verdict == "rounding"


def test_noise_of_repeats_is_not_blamed_on_company() -> None:
    drawn = [logits(p) for p in (0.5, 0.6, 0.7, 0.55, 0.65)]
    others = [logits(p) for p in (0.52, 0.61, 0.68, 0.57, 0.66)]
    assert rows_of(asked(drawn, drawn, others), [[logits(0.6), logits(0.1)]])["company"].verdict == "noise"
    far = [logits(p) for p in (0.05, 0.06, 0.07, 0.05, 0.06)]
    assert rows_of(asked(drawn, drawn, far), [[logits(0.6), logits(0.1)]])["company"].verdict == "differs"


def test_a_difference_outside_the_chosen_class_still_counts() -> None:
    runs = [[[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]], [[0.2, 0.5, 0.3], [0.2, 0.3, 0.5]]]
    data = shown(history_of(runs), inputs([0, 1]), Choice(column=0))
    again = next(line for line in data.same if line.question == "again")
    assert again.verdict == "differs"


def test_without_the_experiment_repeats_answer_the_first_question_alone() -> None:
    rows = rows_of(None, [[logits(0.5), logits(0.1)], [logits(0.6), logits(0.1)]])
    assert rows["again"].verdict == "differs"
    assert (rows["company"].verdict, rows["company"].others) == ("none", 1)
    once = rows_of(None, [[logits(0.5), logits(0.1)]])
    assert [row.verdict for row in once.values()] == ["none", "none", "moves"]


def test_answers_that_are_not_numbers() -> None:
    broken = [[float("nan")] * 2] * 3
    rows = rows_of(asked(broken, broken, broken), [[logits(0.6), logits(0.1)]])
    assert rows["again"].verdict == rows["company"].verdict == "nan"


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8"])
def test_truths_and_indices_are_no_class_scores(dtype: str) -> None:
    history = RunHistory()
    history.add(frame([replace(output([[[1.0, 0.0], [0.0, 0.0]]]), dtype=dtype)]))
    data = shown(history, inputs([None, None]))
    assert (data.reading, data.readings, data.bounded) == ("raw", ("raw",), False)


@pytest.mark.parametrize(
    ("shape", "dtype", "named"), [((2, 3), "complex64", "complex64"), ((2, 0), "float32", "")], ids=["complex", "empty"]
)
def test_what_cannot_be_drawn_is_named(shape: tuple[int, ...], dtype: str, named: str) -> None:
    field = replace(
        output([[[1.0, 0.0], [0.0, 0.0]]]),
        shape=shape,
        dtype=dtype,
        values=None,
        per_sample=False,
        stats=Stats(0, 0, None, None, None, None),
    )
    history = RunHistory()
    history.add(frame([field]))
    data = shown(history, inputs([None, None]))
    assert (data.view, data.shape, data.dtype, data.histogram) == ("none", shape, named, None)


def test_values_that_belong_to_no_input_are_counted_as_they_are() -> None:
    field = replace(output([[[1.0, 2.0], [3.0, 4.0]]], whole=True), values=None, per_sample=False)
    history = RunHistory()
    history.add(frame([field]))
    data = shown(history, inputs([None, None]))
    assert data.histogram is not None
    assert (data.histogram.width, data.histogram.inputs) == (4, 0)
