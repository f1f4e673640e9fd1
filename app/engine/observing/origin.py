"""Who called: the line outside torch, the name of the function there, and whether it follows the training flag."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from weakref import WeakKeyDictionary

import torch
from torch import nn

_TORCH = str(Path(torch.__file__).parent) + os.sep
_ENGINE = str(Path(__file__).parents[1]) + os.sep
_CALLER = str(Path(__file__).with_name("forward.py"))
"""The file that calls the model."""
_FUNCTIONAL = str(Path(_TORCH, "nn", "functional.py"))
_MODULES = str(Path(_TORCH, "nn", "modules"))

FUNCTIONS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
"""The functions of ``torch.nn.functional`` that drop."""


@dataclass(frozen=True)
class Origin:
    """Where a draw came from.

    ``function`` is how the code calls it: a class of torch.nn, ``F.dropout``, or the called name as written.
    ``p`` and ``training`` are the arguments of the torch function, where there is one in Python.
    ``follows_flag``: True or False where the code says so, else None.
    """

    source: str | None
    function: str
    p: float | None = None
    training: bool | None = None
    follows_flag: bool | None = None
    is_layer: bool = False
    """Whether ``function`` is a class of torch.nn whose forward made the call."""


def is_torch(filename: str) -> bool:
    """Whether a file is torch's own."""
    return filename.startswith(_TORCH)


def source() -> str | None:
    """``file:line`` of the innermost frame outside torch and the engine; None where the engine itself called."""
    for frame in _frames():
        if _is_entry(frame):
            return None
        if not frame.f_code.co_filename.startswith((_TORCH, _ENGINE)):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return None


def _is_entry(frame: FrameType) -> bool:
    """Whether it is the one that calls the model: everything above is none of the model's business."""
    return frame.f_code.co_name == "_call" and frame.f_code.co_filename == _CALLER


def find(module: nn.Module | None, operator: str) -> Origin:
    """Look up the stack from a dispatched operator.

    Args:
        module: the innermost running module.
        operator: what to call it where no better name is found.
    """
    layer: nn.Module | None = None
    called: FrameType | None = None
    for frame in _frames():
        filename = frame.f_code.co_filename
        if _is_entry(frame):
            break
        if not filename.startswith((_TORCH, _ENGINE)):
            return _outside(frame, module, layer, called, operator)
        if layer is None and called is None and filename == _FUNCTIONAL and frame.f_code.co_name in FUNCTIONS:
            called = frame
        if layer is None and filename.startswith(_MODULES) and isinstance(frame.f_locals.get("self"), nn.Module):
            layer = frame.f_locals["self"]
    if layer is not None:
        return _of_layer(None, layer, called)
    return _make(None, operator, called, None)


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _make(
    source: str | None, name: str, called: FrameType | None, follows: bool | None, is_layer: bool = False
) -> Origin:
    values = called.f_locals if called is not None else {}
    return Origin(source, name, values.get("p"), values.get("training"), follows, is_layer)


def _of_layer(source: str | None, layer: nn.Module, called: FrameType | None) -> Origin:
    return _make(source, type(layer).__name__, called, _reads_flag(layer), is_layer=True)


_scripts: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _reads_flag(layer: nn.Module) -> bool:
    """Layers of torch do; of a script its graph says. One that was traced keeps the mode that it was traced in."""
    if not isinstance(layer, torch.jit.ScriptModule):
        return True
    if layer not in _scripts:
        _scripts[layer] = '"training"' in str(layer.inlined_graph)
    return _scripts[layer]


def _outside(
    frame: FrameType, module: nn.Module | None, layer: nn.Module | None, called: FrameType | None, operator: str
) -> Origin:
    source = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    if layer is not None:
        return _of_layer(source, layer, called)
    call = _call_at(frame.f_code, frame.f_lasti)
    name = f"F.{called.f_code.co_name}" if called is not None else call.name or operator
    return _make(source, name, called, _follows(frame, module, call))


@dataclass(frozen=True)
class _Call:
    name: str | None = None
    mentions_flag: bool = False
    constant: bool = False
    """Whether the mode is written down as a constant, or left at its default."""


@lru_cache(maxsize=4096)
def _call_at(code: CodeType, instruction: int) -> _Call:
    """What the source says at one instruction of a code object."""
    positions = list(code.co_positions())[instruction // 2]
    first, last, start, end = positions
    if first is None or last is None or start is None or end is None:
        return _Call()
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(first, last + 1)]
    if not all(lines):
        return _Call()
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        tree = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except SyntaxError:
        return _Call()
    return _read_call(tree)


def _read_call(tree: ast.expr) -> _Call:
    if not isinstance(tree, ast.Call):
        return _Call()
    name = tree.func.attr if isinstance(tree.func, ast.Attribute) else getattr(tree.func, "id", None)
    if isinstance(tree.func, ast.Attribute) and isinstance(tree.func.value, ast.Name) and tree.func.value.id == "torch":
        name = f"torch.{name}"
    values = [*tree.args[1:], *(keyword.value for keyword in tree.keywords)]
    mentions = any(
        (isinstance(node, ast.Attribute) and node.attr == "training")
        or (isinstance(node, ast.Name) and node.id == "training")
        for value in values
        for node in ast.walk(value)
    )
    modes = [keyword.value for keyword in tree.keywords if keyword.arg in ("training", "train")]
    if not (name or "").endswith("attention"):  # whose third argument is no mode; it has none at all
        modes += tree.args[2:3]
    return _Call(name, mentions, all(isinstance(mode, ast.Constant) for mode in modes))


def _follows(frame: FrameType, module: nn.Module | None, call: _Call) -> bool | None:
    if call.mentions_flag:
        return True
    if not call.constant:
        return None
    # The call itself does not ask for the flag; it follows it only if the code around does, up to the module's forward.
    current: FrameType | None = frame
    while current is not None:
        code = current.f_code
        if "training" in code.co_names or "training" in code.co_varnames:
            return None
        if module is not None and current.f_locals.get("self") is module:
            return False
        if _is_entry(current):
            return None
        current = current.f_back
    return None
