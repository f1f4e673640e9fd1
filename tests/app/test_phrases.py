"""How phrases are filled, and how findings are told as plain text."""

from __future__ import annotations

import re

import pytest

from modelight.phrases import fill, findings
from modelight.protocol import Finding


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
