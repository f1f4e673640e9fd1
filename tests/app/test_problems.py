"""Failures as sentences."""

from __future__ import annotations

from modelight.problems import problem_of
from modelight.protocol import Failure


def sentence(message: str, module: str = "") -> str:
    failure = Failure(id=1, kind="run", type="ValueError", message=message, traceback="", module=module)
    return problem_of(failure).sentence


def test_a_run_that_stopped_names_the_module_once() -> None:
    told = "The model raised ValueError in head.0: no"
    assert sentence(told, "head.0") == f"The run stopped. {told}."
    assert sentence("ValueError: no", "head.0") == "The run stopped in “head.0”: ValueError: no."
    assert sentence("The model raised ValueError: no") == "The run stopped. The model raised ValueError: no."
    assert sentence("ValueError: no") == "The run stopped in the model: ValueError: no."
