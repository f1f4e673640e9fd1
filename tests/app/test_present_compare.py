"""From an engine's comparison to the page: which cell is now, what the bars are, who is right, what agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelight.present.compare import compare_data
from modelight.protocol import Array, Cell, Clause, Compared, Culprit, InputInfo
from modelight.widgets.compare_data import CompareData

MODES = ("enabled", "no_grad", "inference_mode")
TRAIN = np.array([[0.55, 0.45], [0.54, 0.46]], np.float32)
EVAL = np.array([[0.99, 0.01], [0.02, 0.98]], np.float32)


def cells(train: np.ndarray | None, evaluated: np.ndarray | None, **more: Any) -> list[Cell]:
    return [
        cell(training, mode, train if training else evaluated, **more) for training in (True, False) for mode in MODES
    ]


def cell(training: bool, mode: Any, values: np.ndarray | None, **more: Any) -> Cell:
    if values is None:
        return Cell(training, mode, problem=Clause("raises-in", {"module": "norm", "error": "ValueError: no"}))
    spread = np.full_like(values, 0.02 if training else 0.0)
    facts = {"spread": 0.02, "exact": not training, "milliseconds": 0.8, **more}
    return Cell(training, mode, values=Array.of(values), deviations=Array.of(spread), **facts)


def message(found: list[Cell] | None = None, **more: Any) -> Compared:
    given: dict[str, Any] = {
        "seed": 5,
        "batch": 1,
        "runs": 16,
        "samples": 2,
        "forwards": 2,
        "grad_mode": "no_grad",
        "field": "",
        "shape": (1, 2),
        "per_sample": True,
        "measure": "softmax",
        "cells": cells(TRAIN, EVAL) if found is None else found,
        "moved": 0.48,
        "rows_exact": False,
        "columns_exact": True,
        "columns_apart": 0.0,
        "culprits": [
            Culprit(3, "features.8", "BatchNorm2d", True, 0.36, 0.48, 0.3),
            Culprit(5, "drop", "Dropout", True, 0.004, None, 0.1, alone_chance=0.005),
        ],
        "everything": 0.48,
        "culprit_runs": 16,
    }
    return Compared(**{**given, **more})


def info(labels: list[int | None] | None = None, classes: list[str] | None = None, samples: int = 2) -> InputInfo:
    return InputInfo([], [], samples, [""] * samples, [False] * samples, labels or [None] * samples, classes or [])


def page(
    compared: Compared,
    training: dict[int, bool | None] | None = None,
    grad_mode: str = "no_grad",
    known: InputInfo | None = None,
    **more: Any,
) -> CompareData:
    flags = {0: True, 3: True, 5: True} if training is None else training
    data = compare_data(compared, known or info(), flags, grad_mode, **more)
    assert data is not None
    return data


def test_before_the_first_comparison_there_is_nothing() -> None:
    assert compare_data(None, info(), {0: True}, "no_grad") is None


@pytest.mark.parametrize(("training", "mode", "place"), [(True, "no_grad", 1), (False, "enabled", 3)])
def test_the_cell_of_the_present_state_is_now(training: bool, mode: str, place: int) -> None:
    data = page(message(), {0: training, 3: training, 5: training, 6: None}, mode)
    assert [cell.now for cell in data.cells] == [index == place for index in range(6)]
    assert not data.mixed_now


def test_in_a_mixed_state_no_cell_is_now() -> None:
    data = page(message(), {0: True, 3: False})
    assert not any(cell.now for cell in data.cells)
    assert data.mixed_now


def test_two_classes_show_the_first_by_name() -> None:
    data = page(message(), known=info(classes=["even", "odd"]))
    assert (data.subject, data.column, data.column_name, data.low, data.high) == ("class", 0, "even", 0.0, 1.0)
    np.testing.assert_allclose(data.cells[0].heights, [0.55, 0.54])
    np.testing.assert_allclose(data.cells[4].heights, [0.99, 0.02])
    np.testing.assert_allclose(data.cells[0].deviations, [0.02, 0.02])
    assert page(message(), classes=["even", "odd"]).column_name == "even"
    assert page(message(), classes=["a", "b", "c"]).column_name == ""


def test_of_many_classes_the_one_that_the_mode_moves_most_is_shown() -> None:
    train, evaluated = np.full((2, 5), 0.2, np.float32), np.full((2, 5), 0.1, np.float32)
    evaluated[:, 3] = 0.6
    assert page(message(cells(train, evaluated), shape=(1, 5))).column == 3
    train[:, 1] = evaluated[:, 1] = 0.9
    assert page(message(cells(train, train), shape=(1, 5))).column == 1


def test_probabilities_of_many_classes_get_a_range_that_shows_them() -> None:
    few, many = np.full((2, 8), 0.1, np.float32), np.full((2, 9), 0.1, np.float32)
    assert page(message(cells(few, few), shape=(1, 8))).high == 1.0
    assert page(message(cells(many, many), shape=(1, 9))).high == pytest.approx(0.12)


def test_raw_values_share_a_range_that_holds_zero_and_whiskers() -> None:
    values = np.array([[3.0, 0.0], [5.0, 0.0]], np.float32)
    data = page(message(cells(values, values - 6), measure="raw"))
    assert data.subject == "column" and not data.bounded
    assert (data.low, data.high) == (pytest.approx(-3.0), pytest.approx(5.02))


def test_the_place_of_a_value_in_a_wide_output_is_its_own() -> None:
    values = np.zeros((2, 1000), np.float32)
    moved = values.copy()
    moved[:, 7] = 1
    data = page(message(cells(values, moved), measure="raw", shape=(1, 3, 1000)))
    assert data.column == 7 * 3


def test_who_is_right() -> None:
    data = page(message(), known=info([0, 1]))
    assert [row.right for row in data.rows] == [(0.5, 0.5), (1.0, 1.0)]
    assert [row.right for row in page(message(), known=info([None, 1])).rows] == [(0.0, 0.0), (1.0, 1.0)]
    assert [row.right for row in page(message()).rows] == [None, None]
    raw = page(message(measure="raw"), known=info([0, 1]))
    assert [row.right for row in raw.rows] == [None, None]


def test_grad_modes_that_are_right_about_different_samples() -> None:
    found = cells(TRAIN, EVAL)
    found[5] = cell(False, "inference_mode", EVAL[::-1])
    assert page(message(found), known=info([0, 1])).rows[1].right == (0.0, 1.0)


def test_one_probability_is_right_by_a_half() -> None:
    values = np.array([[0.7], [0.2]], np.float32)
    data = page(message(cells(values, values), measure="sigmoid", shape=(1, 1)), known=info([1, 1]))
    assert data.subject == "probability"
    assert data.rows[0].right == (0.5, 0.5)


def test_labels_count_as_far_as_samples_were_run() -> None:
    data = page(message(), known=info([0, 1, 1, 1], samples=4))
    assert data.of_samples == 4
    assert data.rows[1].right == (1.0, 1.0)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"rows_exact": True}, "exact"),
        ({"moved": 0.48}, "differ"),
        ({"moved": 0.0}, "elsewhere"),
        ({"moved": 4e-7}, "rounding"),
        ({"moved": 0.01, "moved_chance": 0.02}, "chance"),
        ({"moved": 0.03, "moved_chance": 0.02}, "differ"),
        ({"moved": None}, "shape"),
        ({"cells": cells(None, EVAL), "moved": None}, "raises"),
        ({"cells": cells(None, None), "moved": None}, "unknown"),
    ],
)
def test_how_rows_agree(more: dict[str, Any], expected: str) -> None:
    assert page(message(**more)).rows_agree == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "exact"),
        ({"columns_exact": False}, "elsewhere"),
        ({"columns_exact": False, "columns_apart": 5e-7}, "rounding"),
        ({"columns_exact": False, "columns_apart": 0.1}, "differ"),
        ({"columns_exact": False, "columns_apart": None}, "shape"),
        ({"cells": cells(None, EVAL)}, "exact"),
        ({"cells": [*cells(TRAIN, EVAL)[:5], cell(False, "inference_mode", None)], "columns_exact": False}, "raises"),
        ({"cells": cells(None, None)}, "unknown"),
    ],
)
def test_how_columns_agree(more: dict[str, Any], expected: str) -> None:
    assert page(message(**more)).columns_agree == expected


def test_a_cell_that_raised_says_how() -> None:
    data = page(message(cells(None, EVAL)))
    assert [cell.problem for cell in data.cells[:4]] == ["ValueError: no (in norm)"] * 3 + [""]
    assert all(len(cell.heights) == 0 for cell in data.cells[:3])
    assert page(message(cells(None, None), measure="raw")).subject == "none"


def test_culprits_carry_the_flags_of_now() -> None:
    first, second = page(message(), {0: True, 3: False, 5: True}).culprits
    assert (first.path, first.training, first.alone.by, first.against.by) == ("features.8", False, 0.36, 0.48)
    assert second.alone.chance and not first.alone.chance
    assert second.against.by is None and not second.against.known
    assert second.by_chance and not first.by_chance


def test_flips_from_the_present_hold_only_while_it_is_the_present() -> None:
    mixed = message(mixed=True)
    assert page(mixed, {0: False, 3: True, 5: True}).has_flipped
    assert not page(mixed, {0: False, 3: False, 5: True}).has_flipped
    assert not page(message(), {0: True, 3: True, 5: True}).has_flipped


def test_what_would_move_is_the_most_of_a_row() -> None:
    found = cells(TRAIN, EVAL)
    found[1] = cell(True, "no_grad", TRAIN, would_move=9)
    assert [row.would_move for row in page(message(found)).rows] == [9, 0]
