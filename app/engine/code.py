"""What the code of a module's class says about modes, read without running it.

Known facts only: which methods load an attribute named ``training``. What a method does through helpers stays unseen;
``modelight.engine.listen`` hears it in a run.
"""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import wraps
from types import CodeType, FunctionType
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from torch import nn

_NOT_FORWARD = {"train", "eval", "extra_repr", "__init__", "__repr__", "__setstate__", "__getstate__", "__deepcopy__"}


Answer = TypeVar("Answer")


def for_each_class(function: Callable[[type], Answer]) -> Callable[[type], Answer]:
    """Remember a function's answer for each class, as long as the class lives."""
    known: WeakKeyDictionary[type, Answer] = WeakKeyDictionary()

    @wraps(function)
    def remembered(kind: type) -> Answer:
        try:
            return known[kind]
        except KeyError:
            answer = known[kind] = function(kind)
            return answer

    return remembered


class FlagLoad(NamedTuple):
    """A place in a class's code that reads a training flag."""

    source: str
    """``file:line``."""
    for_dropout: bool
    """Whether the same statement names something with "drop": what hangs on the flag there is most likely a dropout."""


@for_each_class
def flag_reads(kind: type) -> tuple[FlagLoad, ...]:
    """Where the class's own methods read a training flag, other than those it inherits from ``torch.nn``."""
    return tuple(load for function in _methods(kind) for load in _loads(function.__code__))


def calls_super(owner: type) -> bool:
    """Whether ``owner.forward`` names ``super``."""
    forward = owner.__dict__.get("forward")
    return isinstance(forward, FunctionType) and any("super" in part.co_names for part in _nested(forward.__code__))


@for_each_class
def readable(kind: type) -> bool:
    """Whether the class's forward is a plain Python function, whose code can be read."""
    return isinstance(getattr(kind, "forward", None), FunctionType)


def _methods(kind: type) -> Iterator[FunctionType]:
    """Methods a forward may run, the overriding ones only."""
    taken = set(_NOT_FORWARD)
    for owner in kind.__mro__:
        if owner in (nn.Module, object):
            return
        members = {} if owner.__module__.startswith("torch.nn.") else owner.__dict__
        for name, value in members.items():
            value = value.fget if isinstance(value, property) else getattr(value, "func", value)
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if name not in taken and isinstance(value, FunctionType):
                yield value
        taken |= set(owner.__dict__)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _loads(code: CodeType) -> Iterator[FlagLoad]:
    for part in _nested(code):
        if "training" not in part.co_names:
            continue
        for instruction in dis.get_instructions(part):
            if instruction.opname == "LOAD_ATTR" and instruction.argval == "training":
                line = (instruction.positions and instruction.positions.lineno) or part.co_firstlineno
                yield FlagLoad(f"{part.co_filename}:{line}", _names_dropout(part, line))


def _names_dropout(code: CodeType, line: int) -> bool:
    """Whether the innermost statement at ``line``, the body of an ``if`` included, names something with "drop"."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError):
        return False
    line -= code.co_firstlineno - 1
    around = [
        node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    inner = max(around, key=lambda node: node.lineno, default=None)
    if inner is None or isinstance(inner, ast.FunctionDef):
        return False
    fields = ("id", "attr", "arg")
    names = [getattr(node, field, None) for node in ast.walk(inner) for field in fields]
    return any(isinstance(name, str) and "drop" in name.lower() for name in names)
