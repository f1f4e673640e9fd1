"""Whether a read of ``self.training`` can make a difference, as far as the expression around it says.

Only plain attributes are looked up (``self.dropout.p``, ``self.config.layerdrop``), in dictionaries: properties are the
user's code and are not run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

UNKNOWN = object()

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_SCALING = (ast.Mult, ast.Div)
_PLAIN = (bool, int, float, str, type(None))


def without_consequence(context: Sequence[ast.AST], module: object) -> bool:
    """Whether the flag read in ``context`` (from the inside) does not matter with the module's present settings."""
    return any(_decided(inner, outer, module) for inner, outer in pairwise(context))


def names_dropout(context: Sequence[ast.AST]) -> bool:
    """Whether the statement names something with "drop"; of an ``if`` its body counts."""
    statement = context[-1]
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    names = [getattr(node, field, None) for node in ast.walk(statement) for field in ("id", "attr", "arg")]
    return any(isinstance(name, str) and "drop" in name.lower() for name in names)


def scales_in_eval(tree: ast.AST) -> bool:
    """Whether code that asks for the mode multiplies or divides in eval, as the first dropouts did."""
    return any(_scales(part) for part in _eval_parts(tree))


def _eval_parts(tree: ast.AST) -> Iterator[ast.AST]:
    """What is run or chosen in eval alone, as far as conditions and early returns say."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp)) and _asks(node.test):
            chosen = node.body if _asks_for_eval(node.test) else node.orelse
            yield from chosen if isinstance(chosen, list) else [chosen]
        for first, rest in _followed(getattr(node, "body", None)):
            if _asks(first.test) and not _asks_for_eval(first.test) and isinstance(first.body[-1], ast.Return):
                yield from (statement for statement in rest if isinstance(statement, ast.Return))


def _followed(body: Any) -> Iterator[tuple[ast.If, list[ast.stmt]]]:
    if isinstance(body, list):
        yield from ((node, body[at + 1 :]) for at, node in enumerate(body) if isinstance(node, ast.If))


def _asks(test: ast.AST) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "training" for node in ast.walk(test))


def _asks_for_eval(test: ast.AST) -> bool:
    return any(
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and _asks(node.operand)
        for node in ast.walk(test)
    )


def _scales(part: ast.AST) -> bool:
    return any(
        isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, _SCALING) for node in ast.walk(part)
    )


def _decided(inner: ast.AST, outer: ast.AST, module: object) -> bool:
    if isinstance(outer, ast.BoolOp):
        # One falsy operand decides an "and", one truthy an "or".
        values = [_value(operand, module) for operand in outer.values if operand is not inner]
        known = [bool(value) for value in values if value is not UNKNOWN]
        return (isinstance(outer.op, ast.Or)) in known
    if isinstance(outer, ast.IfExp) and outer.test is inner:
        first, second = _value(outer.body, module), _value(outer.orelse, module)
        return first is not UNKNOWN and second is not UNKNOWN and bool(first == second)
    if isinstance(outer, ast.keyword) or not isinstance(outer, ast.Call):
        return False
    return _drops_nothing(outer, module)


def _drops_nothing(call: ast.Call, module: object) -> bool:
    """Whether it is a dropout function with p = 0: ``F.dropout(x, self.p, self.training)``."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if "drop" not in str(name).lower():
        return False
    by_name = {keyword.arg: keyword.value for keyword in call.keywords}
    p = by_name.get("p") or by_name.get("drop_prob") or (call.args[1] if len(call.args) > 1 else None)
    value = _value(p, module) if p is not None else UNKNOWN
    return value is not UNKNOWN and value == 0


def _value(node: ast.AST, module: object) -> Any:
    """What a simple expression of the module's settings is now; UNKNOWN if it is no such expression."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        value = _value(node.operand, module)
        return UNKNOWN if value is UNKNOWN else not value
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _compared(node, module)
    value = _attribute(node, module)
    return value if isinstance(value, _PLAIN) else UNKNOWN


def _compared(node: ast.Compare, module: object) -> Any:
    left, right = _value(node.left, module), _value(node.comparators[0], module)
    compare = _COMPARE.get(type(node.ops[0]))
    if left is UNKNOWN or right is UNKNOWN or compare is None:
        return UNKNOWN
    try:
        return compare(left, right)
    except TypeError:
        return UNKNOWN


def _attribute(node: ast.AST, module: object) -> Any:
    """``self.a.b`` or ``getattr(self, "a", default)``, by plain look-up."""
    if isinstance(node, ast.Name):
        return module if node.id == "self" else UNKNOWN
    if isinstance(node, ast.Attribute):
        # The mode itself is what is asked about.
        return UNKNOWN if node.attr == "training" else _look_up(_attribute(node.value, module), node.attr, UNKNOWN)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr" and len(node.args) == 3:
        holder, name, default = node.args
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return _look_up(_attribute(holder, module), name.value, _value(default, module))
    return UNKNOWN


def _look_up(holder: Any, name: str, default: Any) -> Any:
    if holder is UNKNOWN:
        return UNKNOWN
    own = getattr(holder, "__dict__", {})
    for table in (own, *(own.get(registered) or {} for registered in ("_modules", "_parameters", "_buffers"))):
        if name in table:
            return table[name]
    for base in type(holder).__mro__:
        if name in base.__dict__:
            value = base.__dict__[name]
            return UNKNOWN if hasattr(type(value), "__get__") else value
    # __getattr__ could still make something up.
    return UNKNOWN if hasattr(type(holder), "__getattr__") and name not in own and default is UNKNOWN else default
