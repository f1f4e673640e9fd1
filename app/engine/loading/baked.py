"""The mode that was written into a program when it was traced or exported: no flag changes it any more.

An operator that behaves otherwise in training takes its mode as an argument. Where that argument is a constant, the
program has one form of the operator for good, and which one can be read without running anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

_MODE = {
    "dropout": "train",
    "feature_dropout": "train",
    "alpha_dropout": "train",
    "feature_alpha_dropout": "train",
    "native_dropout": "train",
    "rrelu": "training",
    "rrelu_with_noise": "training",
    "batch_norm": "training",
    "native_batch_norm": "training",
    "cudnn_batch_norm": "training",
    "miopen_batch_norm": "training",
    "_native_batch_norm_legit": "training",
    "_native_batch_norm_legit_functional": "training",
    "instance_norm": "use_input_stats",
    "lstm": "train",
    "gru": "train",
    "rnn_tanh": "train",
    "rnn_relu": "train",
}
"""Operator → the argument that says whether it is in training."""
_ALWAYS_EVAL = ("_native_batch_norm_legit_no_training",)
OPERATORS = (*_MODE, *_ALWAYS_EVAL, "scaled_dot_product_attention")


@dataclass(frozen=True)
class Baked:
    """Operators of one module by the form they have for good."""

    train: int = 0
    eval: int = 0

    def __add__(self, other: Baked) -> Baked:
        return Baked(self.train + other.train, self.eval + other.eval)


def form(operator: str, arguments: Mapping[str, Any]) -> bool | None:
    """True: as in training; False: as in eval; None: the mode makes no difference to it, or comes from elsewhere.

    Args:
        operator: without namespace and overload, ``batch_norm``.
        arguments: constants by name; what is computed while the program runs is an ``object()`` here.
    """
    if operator in _ALWAYS_EVAL:
        return False
    if operator == "scaled_dot_product_attention":  # has no mode of its own: in eval, callers give it no probability
        share = arguments.get("dropout_p", 0.0)
        return True if isinstance(share, float) and share > 0 else None
    mode = arguments.get(_MODE.get(operator, ""))
    without_statistics = "norm" in operator and arguments.get("running_mean", True) is None
    never_drops = 0 in (arguments.get("p"), arguments.get("dropout"))
    return mode if isinstance(mode, bool) and not without_statistics and not never_drops else None


def of(operators: Iterator[tuple[str, str, Mapping[str, Any]]]) -> dict[str, Baked]:
    """Operators that have one form for good, by module path; of (path, operator, its arguments)."""
    found: dict[str, Baked] = {}
    for path, operator, arguments in operators:
        mode = form(operator, arguments)
        if mode is not None:
            found[path] = found.get(path, Baked()) + (Baked(train=1) if mode else Baked(eval=1))
    return found


def total(found: Mapping[str, Baked]) -> Baked:
    """All modules together."""
    return sum(found.values(), Baked())


def of_script(module: torch.jit.ScriptModule) -> dict[str, Baked]:
    """The same for a script: in one that was traced, or frozen, every mode is a constant."""
    return of(_operators(module))


def of_one(module: torch.jit.ScriptModule) -> Baked:
    """The same for one module of a script alone, without its children."""
    return of(("", operator, arguments) for operator, arguments in _own_operators(module)).get("", Baked())


def reads_training(module: torch.jit.ScriptModule) -> bool:
    """Whether anything in a script looks at a training flag. In one that was traced nothing does."""
    attributes = (
        node.s("name")
        for _, part in module.named_modules()
        for graph in _graphs(part)
        for node in graph.findAllNodes("prim::GetAttr")
    )
    return "training" in attributes


def _operators(module: torch.jit.ScriptModule) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, part in module.named_modules():
        yield from ((path, operator, arguments) for operator, arguments in _own_operators(part))


def _own_operators(part: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for graph in _graphs(part):
        for operator in OPERATORS:
            yield from ((operator, _arguments(node)) for node in graph.findAllNodes(f"aten::{operator}"))


def _graphs(part: Any) -> Iterator[Any]:
    """The graphs of a module's own methods; calls of its children are calls in them."""
    own: Any = getattr(part, "_c", None)
    if own is not None:
        yield from (own._get_method(name).graph for name in own._method_names())


def _arguments(node: Any) -> Mapping[str, Any]:
    names = (argument.name for argument in torch._C.parse_schema(node.schema()).arguments)
    return dict(zip(names, map(_constant, node.inputs()), strict=False))


def _constant(value: Any) -> Any:
    return value.toIValue() if value.node().kind() == "prim::Constant" else object()
