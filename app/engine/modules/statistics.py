"""Whether a piece of code may move running statistics, or use the batch's instead, as far as its text says."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_NAMES = ("running_mean", "running_var")
_PLACE = 5
"""Of the mode among the arguments of ``batch_norm`` and ``instance_norm``, those of ``torch`` and of its functional."""
_FUNCTIONS = {"batch_norm": ("training", False), "instance_norm": ("use_input_stats", True)}
"""Of each function that normalises, the argument that says so, and its default."""

_ARITHMETIC = ("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "type_as", "to", "addcmul")
"""Methods of other tensors that only read their arguments, also where they work in place."""


def may_move(tree: ast.AST) -> bool:
    """Whether the code may write to the running statistics of ``self``, or normalise with the batch's own."""
    return _Code(tree).may_move()


class _Code:
    """One function, and the names that it gives to the running statistics as they are."""

    def __init__(self, tree: ast.AST) -> None:
        self._nodes = list(ast.walk(tree))
        self._names = {name for node in self._nodes if isinstance(node, ast.Assign) for name in _given_names(node)}

    def may_move(self) -> bool:
        return any(
            self._stores(node)
            or (isinstance(node, ast.Call) and self._calls(node))
            or (isinstance(node, ast.Constant) and node.value in _NAMES)  # reached by name: getattr, _buffers[…]
            for node in self._nodes
        )

    def _stores(self, node: ast.AST) -> bool:
        if isinstance(node, ast.AugAssign):
            return any(self._is_statistic(part) for part in _chain(node.target))
        targets = isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store)
        return targets and any(self._is_statistic(part) for part in _chain(node))

    def _calls(self, call: ast.Call) -> bool:
        """A method that works in place, a norm that does not surely use the running statistics, or a stranger."""
        function = call.func
        if isinstance(function, ast.Attribute) and any(self._is_statistic(part) for part in _chain(function.value)):
            return function.attr.endswith("_")
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(self._is_statistic(value) for value in given):
            return False
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name in _FUNCTIONS:
            return _uses_batch(call, *_FUNCTIONS[name])
        if any(word.arg == "out" and self._is_statistic(word.value) for word in call.keywords):
            return True
        if isinstance(function, ast.Attribute) and name.removesuffix("_") in _ARITHMETIC:
            return getattr(function.value, "id", "") == "torch" and name.endswith("_")
        of_torch = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "torch"
        # Of torch's own functions those that work in place, and the kernels of norms, may write.
        return not of_torch or name.endswith("_") or "norm" in name

    def _is_statistic(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._names
        return _is_attribute(node)


def _given_names(node: ast.Assign) -> Iterator[str]:
    """Names that an assignment gives to the running statistics: ``mean, var = self.running_mean, self.running_var``."""
    for target in node.targets:
        both = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        pairs = zip(target.elts, node.value.elts, strict=False) if both else [(target, node.value)]  # type: ignore[attr-defined]
        yield from (name.id for name, value in pairs if isinstance(name, ast.Name) and _is_attribute(value))


def _uses_batch(call: ast.Call, keyword: str, default: bool) -> bool:
    given = next((word.value for word in call.keywords if word.arg == keyword), None)
    if given is None and len(call.args) > _PLACE:
        given = call.args[_PLACE]
    if given is None:
        return default
    return not (isinstance(given, ast.Constant) and not given.value)


def _chain(node: ast.AST) -> Iterator[ast.AST]:
    """``self.running_mean.data[0]``, from the outside in."""
    yield node
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
        yield node


def _is_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in _NAMES
