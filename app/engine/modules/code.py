"""What the code of a module's class says about modes, read without running it.

Known facts only: which functions that ``forward`` may call load an attribute named ``training``, and whether what hangs
on it can make a difference with the module's present settings. What happens through helpers outside the class stays
unseen; ``modelight.engine.modules.listen`` hears it in a run.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import wraps
from types import CodeType, FunctionType
from typing import NamedTuple, TypeVar

from torch import nn

from modelight.engine.modules import conditions, statistics

_ENTRIES = ("forward", "__call__")

_REMEMBERED = 4096

Answer = TypeVar("Answer")


def for_each_class(function: Callable[[type], Answer]) -> Callable[[type], Answer]:
    """Remember the answer for each class. A plain dictionary: weak keys cost 100 000 modules half a second."""
    known: dict[type, Answer] = {}

    @wraps(function)
    def remembered(kind: type) -> Answer:
        try:
            return known[kind]
        except KeyError:
            if len(known) >= _REMEMBERED:
                known.clear()  # classes of models that were opened again and again
            answer = known[kind] = function(kind)
            return answer

    return remembered


class FlagLoad(NamedTuple):
    """A place in a class's code that reads a training flag."""

    source: str
    """``file:line``."""
    for_dropout: bool
    """Whether the same statement names something with "drop": what hangs on the flag there is most likely a dropout."""
    context: tuple[ast.AST, ...] = ()
    """The expressions around it, from the inside."""


def flag_reads(module: nn.Module) -> list[FlagLoad]:
    """Where the class's own code reads a training flag with a possible consequence, the module's settings given.

    ``if self.gradient_checkpointing and self.training`` has none while the first is False, nor has
    ``F.dropout(x, self.p, self.training)`` while ``self.p`` is 0.
    """
    return [load for load in class_reads(type(module)) if not conditions.without_consequence(load.context, module)]


@for_each_class
def class_reads(kind: type) -> tuple[FlagLoad, ...]:
    """Where functions that ``forward`` may call read a flag; those the class inherits from torch.nn are left out."""
    return tuple(load for function in _reachable(_functions(kind)) for load in _loads(function.__code__))


def overrides_flag(module: nn.Module) -> bool:
    """Whether a setting of the module's makes every read of the flag in its class's code void: ``self.training or
    self.always`` while ``always`` is set, ``self.training and not self.frozen`` while ``frozen`` is."""
    return bool(class_reads(type(module))) and not flag_reads(module)


def calls_super(owner: type) -> bool:
    """Whether ``owner.forward`` names ``super``."""
    forward = owner.__dict__.get("forward")
    return isinstance(forward, FunctionType) and any("super" in part.co_names for part in _nested(forward.__code__))


@for_each_class
def readable(kind: type) -> bool:
    """Whether the class's forward is a plain Python function, whose code can be read."""
    return isinstance(getattr(kind, "forward", None), FunctionType)


@for_each_class
def keeps_statistics(kind: type) -> bool:
    """Whether the class's code, as it reads, normalises with its running statistics and leaves them alone.

    False where it writes to them, has a function use the batch's, hands them to a function that is not known, or where
    there is no source to read.
    """
    trees = _trees(kind)
    return bool(trees) and not any(statistics.may_move(tree) for tree in trees)


@for_each_class
def scales_in_eval(kind: type) -> bool:
    """Whether the class's code, as it reads, multiplies in eval, where a dropout of today hands its input on."""
    return any(conditions.scales_in_eval(tree) for tree in _trees(kind))


def _trees(kind: type) -> list[ast.Module]:
    """The functions that ``forward`` may call; none where one of them cannot be read."""
    try:
        return [_tree(function.__code__) for function in _reachable(_functions(kind))]
    except (OSError, SyntaxError):
        return []


def _functions(kind: type) -> dict[str, FunctionType]:
    """The class's functions by name, those of torch.nn and ``nn.Module`` left out."""
    found: dict[str, FunctionType] = {}
    taken: set[str] = set()
    for owner in kind.__mro__:
        if owner in (nn.Module, object):
            break
        for name, value in owner.__dict__.items():
            value = value.fget if isinstance(value, property) else getattr(value, "func", value)
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if name not in taken and isinstance(value, FunctionType) and not owner.__module__.startswith("torch.nn."):
                found[name] = value
        taken |= set(owner.__dict__)
    return found


def _reachable(functions: dict[str, FunctionType]) -> Iterator[FunctionType]:
    """Those that forward may call, found by name; decorated ones with what they decorate."""
    waiting = [name for name in _ENTRIES if name in functions]
    seen = set(waiting)
    while waiting:
        function: object = functions[waiting.pop()]
        while isinstance(function, FunctionType):
            yield function
            named = {name for part in _nested(function.__code__) for name in part.co_names}
            new = (named & functions.keys()) - seen
            seen |= new
            waiting += sorted(new)
            function = getattr(function, "__wrapped__", None)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _loads(code: CodeType) -> Iterator[FlagLoad]:
    if not any("training" in part.co_names for part in _nested(code)):
        return
    try:
        tree = _tree(code)
    except (OSError, SyntaxError):
        yield FlagLoad(f"{code.co_filename}:{code.co_firstlineno}", False)
        return
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "training" and isinstance(node.ctx, ast.Load):
            around = list(_upwards(node, above))
            line = code.co_firstlineno + node.lineno - 1
            yield FlagLoad(f"{code.co_filename}:{line}", conditions.names_dropout(around), tuple(around))


def _tree(code: CodeType) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(code)))


def _upwards(node: ast.AST, above: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """The node and those around it, up to the statement it is in."""
    while True:
        yield node
        if isinstance(node, ast.stmt) or node not in above:
            return
        node = above[node]
