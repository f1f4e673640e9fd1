"""The page docs/open-my-model.md: every recipe is followed, from its files to its last command."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "open-my-model.md"
SITE = os.environ.get("MODELIGHT_RECIPE_PACKAGES", "")
"""A folder with torchvision, timm and segmentation_models_pytorch, installed with ``pip install --no-deps --target``:
in the environment of the tests they would change what transformers imports. What else lies there is tried, too."""
_NEEDS = {"Lightning": ["lightning"], "transformers": ["transformers"]}
_ELSEWHERE = {
    "torchvision": "torchvision",
    "timm": "timm",
    "segmentation_models_pytorch": "segmentation_models_pytorch",
    "MONAI": "monai",
    "PyTorch Geometric": "torch_geometric",
    "diffusers": "diffusers",
}
"""Recipes that need a package of that folder."""
_ALWAYS = {"torchvision", "timm", "segmentation_models_pytorch"}
_FILES = ("recipes.json", "results.json")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def recipes() -> dict[str, dict[str, Any]]:
    """Title → files and commands, as they stand on the page."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        files, commands = {}, []
        for language, text in _FENCE.findall(body):
            if language == "python":
                name = text.partition("\n")[0].removeprefix("# ")
                files[name] = text
            elif language == "sh":
                commands += [line for line in text.splitlines() if line.startswith("modelight ")]
        if commands:
            found[title] = {"files": files, "commands": commands}
    return found


RECIPES = recipes()
HERE = [title for title in RECIPES if title not in _ELSEWHERE]


def followed(titles: list[str], folder: Path, **environment: str) -> dict[str, Any]:
    for number, title in enumerate(titles):
        place = folder / str(number)
        place.mkdir()
        for name, text in RECIPES[title]["files"].items():
            (place / name).write_text(text, "utf-8")
        RECIPES[title]["folder"] = str(place)
    (folder / "recipes.json").write_text(json.dumps({title: RECIPES[title] for title in titles}))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "run.py"), *(str(folder / name) for name in _FILES)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "results.json").read_text()))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    wanted = [title for title in HERE if all(importlib.util.find_spec(name) for name in _NEEDS.get(title, []))]
    return followed(wanted, tmp_path_factory.mktemp("recipes"))


def check(result: dict[str, Any]) -> None:
    assert "error" not in result, result["error"]
    assert result["commands"]
    for command in result["commands"]:
        refused = re.search(r"# refused: (.+)$", command["line"])
        if refused:
            assert command["status"] == 2 and refused[1] in command["err"], command
        else:
            # 1 is a finding or a mark: most recipes open models in train mode.
            assert command["status"] in (0, 1) and "Traceback" not in command["err"], command
            assert command["out"].strip()
            if "loaded" in command and "--partial" not in command["line"]:
                assert command["loaded"] > 0 and command["missing"] == [] and command["mismatched"] == 0, command


@pytest.mark.parametrize("title", HERE)
def test_the_recipe_works_as_it_stands(title: str, results: dict[str, Any]) -> None:
    if title not in results:
        pytest.skip(f"{', '.join(_NEEDS[title])} is not installed here")
    check(results[title])


@pytest.mark.skipif(not SITE, reason="MODELIGHT_RECIPE_PACKAGES names no folder with torchvision, timm and smp")
def test_recipes_of_torchvision_and_of_what_else_is_there_work(tmp_path: Path) -> None:
    there = [title for title, package in _ELSEWHERE.items() if (Path(SITE) / package).is_dir()]
    found = followed(there, tmp_path, PYTHONPATH=SITE)
    assert set(found) >= _ALWAYS
    for result in found.values():
        check(result)


def test_the_page_covers_the_ecosystems_that_people_come_from() -> None:
    wanted = {
        "Plain torch",
        "torchvision",
        "timm",
        "transformers",
        "Lightning",
        "TorchScript",
        "segmentation_models_pytorch",
    }
    assert wanted <= set(RECIPES)
