"""What a Python file offers to be opened, read from its syntax alone: nothing of it is run in the window process."""

from __future__ import annotations

import ast
from pathlib import Path

MAX_BYTES = 4_000_000
MODELS = {"model", "net", "network"}
"""What people call a model that stands ready at the top level of a file."""


def callables(path: Path) -> list[str]:
    """Names of the classes and functions at the file's top level that can be called without arguments, and of models
    that stand there ready.

    ``build`` first, then what looks like a module class, then the rest. A file that cannot be read offers nothing.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            return []
        tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    definitions = [node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    named = [node.name for node in sorted(definitions, key=_rank) if _is_open_to_all(node)]
    return list(dict.fromkeys([*named, *_ready(tree)]))


def _ready(tree: ast.Module) -> list[str]:
    """Names such as ``model`` that the file gives to the result of a call: what that is, its syntax does not tell."""
    return [
        target.id
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.lower() in MODELS
    ]


def _is_open_to_all(node: ast.ClassDef | ast.FunctionDef) -> bool:
    if isinstance(node, ast.ClassDef):
        inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        return not node.name.startswith("_") and all(_required(init) <= 1 for init in inits)
    return not node.name.startswith("_") and _required(node) == 0


def _required(function: ast.FunctionDef) -> int:
    arguments = function.args
    keywords = sum(default is None for default in arguments.kw_defaults)
    return len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults) + keywords


def _rank(node: ast.ClassDef | ast.FunctionDef) -> int:
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases]
        return 1 if any("Module" in base for base in bases) else 2
    return 0 if node.name == "build" else 3
