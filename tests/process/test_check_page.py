"""``docs/check.md``: every example on the page is run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelight.sample_models import digits_cnn
from modelight.waivers import allowed_in

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "check.md").read_text("utf-8")
NET = """
import torch
from torch import nn

def build():
    return nn.Linear(6, 2).eval()
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line)[1:] for text in blocks("console") for line in re.findall(r"^\$ (.*)$", text, re.M)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that the page's commands name."""
    import numpy as np
    import torch

    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "net.py").write_text(NET, encoding="utf-8")
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(6, 2).state_dict(), tmp_path / "weights.pt")
    np.savez(tmp_path / "batch.npz", images=np.random.default_rng(0).normal(size=(5, 6)).astype("float32"))
    return tmp_path


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelight", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        timeout=120,
        check=False,
    )


def test_the_report_on_the_page_is_the_report(project: Path) -> None:
    first, *shown = blocks("console")[0].split("\n")
    done = run(shlex.split(first)[2:], project)
    expected = "\n".join(shown).partition("…")[0]
    assert done.stdout.replace("\u00a0", " ").startswith(expected)
    assert done.returncode == 1


@pytest.mark.parametrize(("position", "status"), [(1, 1), (2, 0)])
def test_the_other_commands_do_what_they_say(position: int, status: int, project: Path) -> None:
    done = run(commands()[position], project)
    assert done.returncode == status, done.stdout + done.stderr
    assert len(commands()) == 3


def test_the_command_of_the_ci_is_one_that_works(project: Path) -> None:
    (line,) = [line for line in blocks("yaml")[0].splitlines() if "modelight check" in line]
    done = run(shlex.split(line.partition("modelight ")[2]), project)
    assert done.returncode == 0, done.stderr


def test_the_json_on_the_page_has_the_shape_of_the_real_one(project: Path) -> None:
    shown = json.loads(blocks("json")[0])
    real = json.loads(run([*commands()[0], "--json"], project).stdout)
    assert set(shown) == set(real)
    mine, theirs = shown["findings"][0], real["findings"][0]
    assert set(mine) == set(theirs)
    assert theirs["message"].startswith(mine.pop("message").removesuffix("…"))
    assert mine.pop("evidence").items() <= theirs["evidence"].items()
    assert mine.items() <= theirs.items()
    assert shown["modes"] == real["modes"]


def test_the_lines_of_python_hold() -> None:
    code = blocks("python")[0]
    assert "modelight.check(" in code
    exec(compile(code, "check.md", "exec"), {})


def test_the_tests_on_the_page_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(blocks("python")[1])
    # In a process of its own: pytester would unload torch again, which torch does not survive.
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_table_in_the_project_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(blocks("toml")[0], encoding="utf-8")
    (tmp_path / "below").mkdir()
    assert allowed_in(tmp_path / "below") == ["ML120"]


def test_the_lines_of_the_readme_hold() -> None:
    import modelight
    from modelight.pytest_plugin import ModelightCheck
    from tests.engine.looking import digits

    readme = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text("utf-8")
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "modelight.check(" in code]
    names: dict[str, Any] = {"modelight": modelight, "model": digits().eval(), "images": digits_cnn.example_input()}
    exec(compile(code, "README.md", "exec"), names)
    assert names["report"].status == 0
    names["test_inference_is_in_eval"](ModelightCheck(Path("/")))
    names["model"].train()
    with pytest.raises(pytest.fail.Exception, match="ML101"):
        names["test_inference_is_in_eval"](ModelightCheck(Path("/")))
