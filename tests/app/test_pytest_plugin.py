"""The fixture ``modelight_check``, in a test suite of its own.

Each suite runs in a process of its own: pytester would unload torch again, which torch does not survive.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
import torch
from torch import nn


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))


@pytest.fixture
def vectors():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def test_clean(modelight_check, vectors):
    report = modelight_check(model().eval(), vectors)
    assert (report.status, report.findings) == (0, [])


def test_information(modelight_check, vectors):
    assert modelight_check(model().eval(), vectors, grad_mode="enabled").findings


def test_allowed_in_the_call(modelight_check, vectors):
    assert modelight_check(model(), vectors, allow=("ML120",)).allowed == ["ML120"]


def test_found(modelight_check, vectors):
    modelight_check(model(), vectors)


def test_cannot_run(modelight_check, vectors):
    modelight_check(model().eval(), vectors[:, :3])
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def run(suite: pytest.Pytester) -> tuple[dict[str, str], pytest.RunResult]:
    """Outcome by test."""
    result = suite.runpytest_subprocess("-v", "-p", "no:cacheprovider")
    lines = [line.split() for line in result.outlines if "::" in line and not line.startswith(("FAILED", "ERROR"))]
    return {words[0].rpartition("::")[2]: words[1] for words in lines}, result


def test_the_plugin_is_known_to_pytest() -> None:
    (entry,) = [entry for entry in entry_points(group="pytest11") if entry.name == "modelight"]
    assert entry.value == "modelight.pytest_plugin"


def test_findings_fail_a_test_with_the_report_and_nothing_else_does(suite: pytest.Pytester) -> None:
    outcomes, result = run(suite)
    assert outcomes == {
        "test_clean": "PASSED",
        "test_information": "PASSED",
        "test_allowed_in_the_call": "PASSED",
        "test_found": "FAILED",
        "test_cannot_run": "FAILED",
    }
    result.stdout.fnmatch_lines(
        [
            "Sequential: 4 modules in train, 0 in eval, as it is now.",
            "WARNING ML120 dropouts-on at 1",
            "*Cure:*",
            "*mat1 and mat2 shapes cannot be multiplied*",
        ]
    )


def test_what_is_wanted_is_allowed_in_the_project(suite: pytest.Pytester) -> None:
    suite.makepyprojecttoml('[tool.modelight]\nallow = ["ML120"]\n')
    assert run(suite)[0]["test_found"] == "PASSED"


def test_a_project_file_that_says_nonsense_is_told(suite: pytest.Pytester) -> None:
    suite.makepyprojecttoml("[tool.modelight]\nallow = 120\n")
    outcomes, result = run(suite)
    assert set(outcomes.values()) == {"FAILED"}
    result.stdout.fnmatch_lines(["*write [[]tool.modelight[]] allow = *"])


def test_a_suite_that_does_not_ask_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n\ndef test_it():\n    assert not {'torch', 'PySide6', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:pytest-qt", "-p", "no:hypothesispytest", str(pytester.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
