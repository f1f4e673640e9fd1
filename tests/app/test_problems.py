"""Failures as sentences."""

from __future__ import annotations

from modelight.problems import problem_of
from modelight.protocol import Failure


def sentence(message: str, module: str = "") -> str:
    return problem_of(Failure(1, "run", "ValueError", message, "", module=module)).sentence


def test_a_run_that_stopped_names_the_module_once() -> None:
    assert sentence("The model raised ValueError in head.0: no", "head.0") == (
        "The run stopped. The model raised ValueError in head.0: no."
    )
    assert sentence("ValueError: no", "head.0") == "The run stopped in “head.0”: ValueError: no."
    assert (
        sentence("The model raised ValueError: no") == "The run stopped in the model: The model raised ValueError: no."
    )
