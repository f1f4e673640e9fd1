"""The walls between the rooms, held by reading every import of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QT = {"PySide6", "pyqtgraph", "shiboken6"}
TORCH = {"torch", "safetensors", "transformers"}


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it; ``from a import b`` counts as ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(room: str, *, without: str | None = None) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    return [file for file in found if without is None or without not in file.parts]


def offenders(room: list[Path], forbidden: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in room
        for name in sorted(imports(file))
        if any(name == wall or name.startswith(wall + ".") for wall in forbidden)
    ]


def test_the_engine_knows_no_qt_and_no_widgets() -> None:
    # numbers.py is plain Python, how figures are written; and an empty package is no wall.
    allowed = (" modelight.widgets.numbers", " modelight.widgets")
    found = offenders(files("app/engine"), QT | {"modelight.widgets", "modelight.window", "modelight.session"})
    assert [line for line in found if not line.endswith(allowed)] == []


def test_the_window_process_knows_no_torch() -> None:
    # The plugin is no part of the window: it lives in a test suite, and names torch's types alone (see below).
    room = [file for file in files("app", without="engine") if file.name != "pytest_plugin.py"]
    assert offenders(room, TORCH) == []


def test_only_the_model_process_and_the_public_api_reach_into_the_engine() -> None:
    room = [
        file
        for file in files("app", without="engine")
        if file.name not in ("__init__.py", "headless.py", "inspect_command.py", "pytest_plugin.py")
    ]
    assert offenders(room, {"modelight.engine"}) == []


def test_widgets_know_neither_torch_nor_the_app() -> None:
    app = {f"modelight.{file.stem}" for file in (ROOT / "app").glob("*.py") if file.stem != "__init__"}
    app |= {"modelight.engine", "modelight.present", "modelight.phrases"}
    assert offenders(files("widgets"), TORCH | app) == []


def test_sample_models_need_torch_alone() -> None:
    assert offenders(files("sample_models"), QT | {"modelight.engine", "modelight.widgets", "modelight.session"}) == []


def test_the_protocol_needs_no_torch_and_no_qt() -> None:
    found = offenders(files("app/protocol"), QT | TORCH | {"modelight"})
    assert [line for line in found if " modelight.protocol" not in line] == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("modelight", ("torch", "PySide6", "numpy")),
        ("modelight.cli", ("torch", "PySide6")),
        ("modelight.pytest_plugin", ("torch", "PySide6", "numpy")),
        ("modelight.window", ("torch", "pyqtgraph")),
        ("modelight.sample_models", ("torch",)),
    ],
)
def test_importing_stays_light(module: str, absent: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
