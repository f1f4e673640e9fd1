"""``modelight check`` as a process of its own: exit status, JSON, and what else may be on stdout (nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DIGITS = "modelight.sample_models.digits_cnn:build"
IDS = {"ML101", "ML110", "ML120"}

CLEAN = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).eval()

def example_input():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
"""
LOUD = """
import os
import sys
from torch import nn

class Loud(nn.Linear):
    def forward(self, x):
        print("from Python")
        os.write(1, b"from C\\n")
        os.system("echo from a child")
        return super().forward(x)

def build():
    return Loud(6, 3).eval()
"""
LEAVING = """
import sys
from torch import nn

class Leaving(nn.Linear):
    def forward(self, x):
        sys.exit(0)

def build():
    return Leaving(6, 3).eval()
"""
ASKING = """
from torch import nn

class Asking(nn.Linear):
    def forward(self, x):
        input("which class? ")
        return super().forward(x)

def build():
    return Asking(6, 3).eval()
"""


def check(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command with stdin closed."""
    return subprocess.run(
        [sys.executable, "-m", "modelight", "check", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        timeout=120,
        check=False,
    )


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(code: str) -> str:
        (tmp_path / "net.py").write_text(code, encoding="utf-8")
        return "net.py:build"

    return write


# ---------------------------------------------------------------------------------------------------------- incident


def test_the_incident_is_named_with_its_layer_and_a_cure_that_was_tried(tmp_path: Path) -> None:
    done = check(DIGITS, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "digits_cnn: 14 modules in train, 0 in eval, as its own code hands it over.\n"
        "Run on 8 samples of its example_input(), one at a time, under no_grad, seed 0.\n"
        "23 tensors were loaded from digits_cnn.pt.\n"
    )
    incident = done.stdout.split("\n\n")[1]
    assert incident.splitlines()[:3] == [
        "CRITICAL ML101 output-ignores-input at pool",
        "  Output ignores the input",
        "  8 inputs all give class 0 at 0.55 ± 0.02.",
    ]
    assert "They stop differing at pool: in train, features.8 normalises a single sample by itself." in incident
    assert incident.endswith("  Cure:\n      model.eval()\n  Tried: with this, the finding is gone.")
    assert "**" not in done.stdout
    assert done.stderr == ""


def test_json_has_exactly_the_promised_shape(tmp_path: Path) -> None:
    done = check(DIGITS, "--json", folder=tmp_path)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert set(told) == {"model", "modes", "findings"}
    assert (told["model"], told["modes"]) == ("digits_cnn", {"train": 14, "eval": 0})
    assert {finding["id"] for finding in told["findings"]} == {*IDS, "ML130"}
    for finding in told["findings"]:
        assert set(finding) == {"id", "severity", "module", "message", "evidence", "remedy"}
    first = told["findings"][0]
    assert (first["id"], first["severity"], first["module"]) == ("ML101", "critical", "pool")
    assert first["evidence"]["mean"] == pytest.approx(0.55, abs=0.01)
    assert first["remedy"] == {"id": "set-eval", "paths": [""], "python": ["model.eval()"], "verified": True}
    assert "as its own code hands it over" in done.stderr, "what was checked is said beside the JSON"


def test_what_is_wanted_is_allowed_on_the_command_line_and_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.modelight]\nallow = ["ML101", "ML110"]\n', encoding="utf-8")
    done = check(DIGITS, "--allow", "ML120", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Found and allowed: ML101, ML110, ML120." in done.stdout
    assert done.stdout.endswith("Findings: 1 for information.\n")


def test_a_batch_of_eight_has_another_report(tmp_path: Path) -> None:
    done = check(DIGITS, "--batch", "8", "--json", folder=tmp_path)
    found = {finding["id"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert "ML101" not in found
    assert found["ML150"]["module"] == "features.1"


# ------------------------------------------------------------------------------------------------------ clean models


def test_a_clean_model_is_0(written: Any, tmp_path: Path) -> None:
    done = check(written(CLEAN), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Nothing remarkable.\n")
    assert "0 modules in train, 5 in eval" in done.stdout


def test_noise_is_said_to_be_noise(written: Any, tmp_path: Path) -> None:
    done = check(written(CLEAN), "--input", "normal:6", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "samples of noise" in done.stdout


def test_whatever_the_model_prints_stdout_holds_the_report_alone(written: Any, tmp_path: Path) -> None:
    done = check(written(LOUD), "--json", "--input", "normal:6", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["findings"] == []
    for said in ("from Python", "from C", "from a child"):
        assert said in done.stderr


# ---------------------------------------------------------------------------------------------------- could not look


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("nowhere.py:build", "nowhere.py"),
        ("modelight.sample_models.digits_cnn:absent", "absent"),
        ("modelight.sample_models.troublemaker:build(trouble='crash')", ""),
    ],
)
def test_what_cannot_be_looked_at_is_2(spec: str, sentence: str, tmp_path: Path) -> None:
    done = check(spec, folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr


def test_a_missing_checkpoint_is_2(tmp_path: Path) -> None:
    done = check(DIGITS, "absent.pt", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "absent.pt" in done.stderr.splitlines()[-1]


def test_a_checkpoint_with_gaps_is_a_finding(written: Any, tmp_path: Path) -> None:
    import torch

    torch.save(
        {"0.weight": torch.zeros(8, 6), "0.bias": torch.zeros(8), "3.weight": torch.zeros(4, 8)}, tmp_path / "w.pt"
    )
    done = check(written(CLEAN), "w.pt", "--json", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["id"], finding["module"]) == ("ML180", "3")
    assert "(3.bias)" in finding["message"] and "(3.weight)" in finding["message"]
    whole = {"0.weight": (8, 6), "0.bias": (8,), "3.weight": (3, 8), "3.bias": (3,), "old.head": (2,)}
    torch.save({name: torch.ones(shape) for name, shape in whole.items()}, tmp_path / "w.pt")
    done = check(written(CLEAN), "w.pt", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 tensors were loaded from w.pt; the model does not know another in it (old.head)." in done.stdout


@pytest.mark.parametrize("code", [LEAVING, ASKING])
def test_what_the_code_of_a_model_does_never_passes_for_a_verdict(code: str, written: Any, tmp_path: Path) -> None:
    done = check(written(code), "--input", "normal:6", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()


def test_a_project_file_that_cannot_be_read_is_2(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.modelight]\nallow = "ML101"\n', encoding="utf-8")
    done = check(DIGITS, folder=tmp_path)
    assert done.returncode == 2
    assert 'write [tool.modelight] allow = ["ML120"]' in done.stderr


def test_a_wrong_option_is_2(tmp_path: Path) -> None:
    assert check(DIGITS, "--input", "photo.docx", folder=tmp_path).returncode == 2


def test_a_reader_that_leaves_changes_nothing(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m modelight check {DIGITS} --json <&- | true; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
