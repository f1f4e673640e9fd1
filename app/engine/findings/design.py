"""What is plainly meant: code that says itself that something stays in train. Such things are facts, not findings."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
from types import FunctionType

import torch
from torch import nn

from modelight.engine.modules.rows import Rows

_FUNCTIONS = frozenset(
    {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout"}
)
_POSITION = 2
"""Of ``training`` among the arguments of ``F.dropout(input, p, training)`` and its kin."""


def asked_for(source: str | None) -> bool:
    """Whether every dropout function called at ``file:line`` is handed a literal ``training=True``, as in the prenets
    of speech models. ``F.dropout(x)`` is not: it may be an oversight."""
    file, _, line = (source or "").rpartition(":")
    if not line.isdigit():
        return False
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return False
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.lineno <= int(line) <= (node.end_lineno or node.lineno)
        and _name(node.func) in _FUNCTIONS
    ]
    return bool(calls) and all(_says_true(call) for call in calls)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _says_true(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "training"]
    given += call.args[_POSITION : _POSITION + 1]
    return any(isinstance(value, ast.Constant) and value.value is True for value in given)


# ------------------------------------------------------------------------------------------------- train() of its own


def keeps_mode(kind: type[nn.Module]) -> bool:
    """Whether a class defines a ``train()`` whose code never reads its argument, or neither sets a flag nor calls
    another ``train()`` or ``eval()``."""
    method = _own(kind, "train")
    if method is None:
        return False
    code = method.__code__
    if not {"super", "train", "eval", "training"} & set(code.co_names):
        return True
    arguments = set(inspect.signature(method).parameters) - {code.co_varnames[0]}
    loaded: set[object] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_"):
            value = instruction.argval
            loaded |= set(value) if isinstance(value, tuple) else {value}
    return not arguments & {name for name in loaded if isinstance(name, str)}


def reaches_all(kind: type[nn.Module]) -> bool:
    """Whether a class with a ``train()`` or ``eval()`` of its own hands the mode on to everything below it through
    ``super()``: what is in another mode afterwards was then put there on purpose."""
    own = [method for name in ("train", "eval") if (method := _own(kind, name)) is not None]
    return bool(own) and not keeps_mode(kind) and all("super" in method.__code__.co_names for method in own)


def kept_on(rows: Rows, row: int) -> bool:
    """Whether the class of a module above ``row`` is one that may keep it in train on purpose."""
    above = rows.rows[row].parent
    while above >= 0:
        if reaches_all(type(rows.modules[above])):
            return True
        above = rows.rows[above].parent
    return False


def _own(kind: type[nn.Module], name: str) -> FunctionType | None:
    """The class's own method; None where it is nn.Module's, or no Python function."""
    method = next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)
    method = inspect.unwrap(method) if callable(method) else None
    if not isinstance(method, FunctionType) or method is getattr(nn.Module, name):
        return None
    return None if issubclass(kind, torch.jit.ScriptModule) else method
