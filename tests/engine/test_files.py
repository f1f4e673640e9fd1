"""Which files the window is told to watch."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
import torch

from modelight.engine.loading import opening
from modelight.engine.process.files import files
from modelight.protocol import Open

NET = """
import json
import torch
from torch import nn
from watched_lib.blocks import Block
import watched_beside

def build():
    return Block()
"""
BLOCK = """
from torch import nn

class Block(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("models", "watched_lib", "site-packages"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "watched_net.py").write_text(NET)
    (tmp_path / "models" / "watched_beside.py").write_text(
        "import sys\nsys.path.append(__file__ + '/../../site-packages')"
    )
    (tmp_path / "watched_lib" / "__init__.py").write_text("")
    (tmp_path / "watched_lib" / "blocks.py").write_text(BLOCK)
    return tmp_path


def names(project: Path, spec: str, directory: str) -> set[str]:
    model = opening.open_model(Open(id=1, spec=spec, directory=str(project)))
    return {str(Path(file).relative_to(project)) for file in files(model, directory)}


def test_the_persons_own_modules_are_watched_wherever_they_lie_below_the_directory(project: Path) -> None:
    mine = {"models/watched_net.py", "models/watched_beside.py"}
    library = {"watched_lib/__init__.py", "watched_lib/blocks.py"}
    spec = "models/watched_net.py:build"
    assert names(project, spec, str(project)) == mine | library
    assert names(project, spec, "") == mine  # over ssh the directory is not known: what lies beside the file
    assert names(project, "watched_lib.blocks:Block", str(project)) == library


def test_installed_packages_and_files_that_are_no_paths_are_not_watched(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``torch.ops`` says that its file is ``_ops.py``, which is none where the program was started."""
    for name, file in {"installed_one": str(project / "site-packages" / "installed_one.py"), "odd": "odd.py"}.items():
        module = types.ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(project)
    seen = names(project, "models/watched_net.py:build", str(project))
    assert not {file for file in seen if "installed" in file or "odd" in file or file.startswith("_")}


def test_nothing_of_the_engine_or_of_python_is_watched_though_all_lies_below_the_directory(project: Path) -> None:
    model = opening.open_model(Open(id=1, spec="models/watched_net.py:build", directory=str(project)))
    seen = {Path(file) for file in files(model, "/")}
    assert project / "watched_lib" / "blocks.py" in seen
    assert not seen & {Path(opening.__file__), Path(torch.__file__), Path(json.__file__)}
