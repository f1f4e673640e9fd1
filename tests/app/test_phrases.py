"""How phrases are filled, and how findings are told as plain text."""

from __future__ import annotations

import re

import pytest

from modelight.phrases import fill, findings, phrase
from modelight.protocol import Clause, Finding, Value


@pytest.mark.parametrize(("count", "text"), [(1, "1 value is NaN"), (2, "2 values are NaN"), (0, "0 values are NaN")])
def test_one_and_many(count: int, text: str) -> None:
    assert fill("{n:count} {n:value is|values are} NaN", {"n": count}) == text


def test_a_figure_that_is_missing_is_a_dash() -> None:
    assert fill("{n:count} of {m:figure}", {"n": 3, "m": None}) == "3 of –"


def test_marks_are_for_the_window_alone() -> None:
    finding = Finding(
        "ML112", "warning", "norm", {"layers": 2, "buffers": 1, "furthest": "norm", "deviations": 4.0, "title": None}
    )
    title, body = findings.marked(finding)
    assert "**4.00**" in body[0]
    assert findings.body(finding) == body[0].replace("**", "")
    assert findings.title(finding) == title == "Running statistics of 2 layers have moved"


@pytest.mark.parametrize("id_", findings.PHRASES)
def test_marks_come_in_pairs_and_titles_have_none(id_: str) -> None:
    text = findings.PHRASES[id_]
    assert text.count("**") % 2 == 0
    if ".title" in id_ or ".solved" in id_:
        assert "**" not in text
    for spec in re.findall(r"\{\w+:([^}]*\|[^}]*)\}", text):
        assert spec.count("|") == 1


def test_the_root_has_a_name_in_sentences_too() -> None:
    """Its path is the empty string, which would leave a gap."""
    assert phrase(Clause("dropout-alone", {"module": ""})) == "Only the model itself on"
    text = phrase(Clause("shared", {"count": 2, "paths": ["", "inner"]}))
    assert text == "The same module in 2 places, also at the model itself, inner."
    said = phrase(Clause("ML120.many", {"observed": 0.3, "total": 10, "runs": 1, "first": ""}))
    assert said.endswith("in 1 run; the first is the model itself.")


@pytest.mark.parametrize(
    ("id_", "values", "text"),
    [
        ("scalar-cross-entropy", {"samples": 1}, "mean cross-entropy of 1 label"),
        ("scalar-cross-entropy", {"samples": 2}, "mean cross-entropy of 2 labels"),
        ("zero-variance", {"count": 1, "channels": 1}, "running variance 0 in 1 of 1 channel"),
        ("has-infinite", {"tensor": "weight", "count": 1}, "weight holds 1 infinite value"),
        ("counters-missing", {"count": 1}, "1 batch counter (num_batches_tracked) is not in the checkpoint"),
    ],
)
def test_one_of_a_thing_is_singular(id_: str, values: dict[str, Value], text: str) -> None:
    assert phrase(Clause(id_, values)).startswith(text)
