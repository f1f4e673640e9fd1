"""MODEL, as a person writes it: ``package.module:callable`` or ``path/file.py:callable``, perhaps with arguments.

Nothing of the text is ever evaluated: the callable is parsed with :mod:`ast`, its arguments must be literals.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import sources

HOW = "write package.module:callable or path/file.py:callable"
_SHAPE = re.compile(r"(?P<source>.+?):\s*(?P<call>[^\W\d]\w*(?:\.[^\W\d]\w*)*\s*(?:\(.*\))?)\s*", re.DOTALL)
_WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".th", ".tar", ".pkl")
_OFFERED = 8


@dataclass(frozen=True)
class Spec:
    """A parsed MODEL. Exactly one of ``file`` and ``module`` is not empty."""

    text: str
    file: str
    module: str
    attribute: str
    """Dotted name inside the module, e.g. ``BertModel.from_pretrained``."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    called: bool = False
    """Whether parentheses were written."""

    @property
    def name(self) -> str:
        """The short name: the file's stem or the module's last part."""
        return Path(self.file.replace("\\", "/")).stem if self.file else self.module.rpartition(".")[2]


@dataclass(frozen=True)
class Resolved:
    """What a spec names: the object, and the module that holds it."""

    spec: Spec
    target: Any
    source: ModuleType


def parse(text: str) -> Spec:
    """Take MODEL apart, without importing anything.

    Raises:
        EngineError: kind ``spec``; the sentence says how to write it.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise _malformed(text)
    source = match["source"].strip()
    attribute, args, kwargs, called = _call(match["call"].strip(), text)
    if source.lower().endswith(_WEIGHTS):
        raise EngineError(_is_weights(source), kind="spec")
    is_file = source.endswith(".py") or "/" in source or "\\" in source
    if not is_file and not all(part.isidentifier() for part in source.split(".")):
        raise EngineError(f"“{source}” is neither a module name nor a .py file: {HOW}.", kind="spec")
    return Spec(text, source if is_file else "", "" if is_file else source, attribute, args, kwargs, called)


def resolve(spec: Spec, directory: str = "", *, beside: bool = False) -> Resolved:
    """Import what the spec names, with ``directory`` (and a file's own folder) on the import path.

    Args:
        beside: a model is open already, whose modules must stay as they are.

    Raises:
        EngineError: kind ``spec`` (no such file, module or attribute) or ``import`` (its code failed).
    """
    if spec.file:
        module = sources.import_file(spec.file, directory, beside=beside)
    else:
        module = sources.import_module(spec.module, directory, beside=beside)
    return Resolved(spec, _attribute(module, spec), module)


def offers(module: ModuleType) -> list[str]:
    """Names in the module that may build a model: modules first, then classes of ``nn.Module``, then functions."""

    def rank(value: Any) -> int | None:
        own = f"{getattr(value, '__module__', None)}.".startswith(f"{module.__name__}.")
        if isinstance(value, nn.Module):
            return 0
        if isinstance(value, type):
            return 1 if own and issubclass(value, nn.Module) else None
        return 2 if own and inspect.isfunction(value) else None

    ranked = [(rank(value), name) for name, value in vars(module).items() if not name.startswith("_")]
    return [name for position, name in sorted((r, n) for r, n in ranked if r is not None)]


def _call(call: str, text: str) -> tuple[str, tuple[Any, ...], dict[str, Any], bool]:
    """``name(1, b="c")`` as (name, args, kwargs, called)."""
    try:
        node = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EngineError(f"“{call}” in “{text}” is not a call that Python can read: {error}.", kind="spec") from error
    if not isinstance(node, ast.Call):
        return _dotted(node, text), (), {}, False
    if any(keyword.arg is None for keyword in node.keywords):
        raise EngineError(f"“{text}” uses **: write each argument as name=value.", kind="spec")
    args = tuple(_literal(argument, text) for argument in node.args)
    kwargs = {str(keyword.arg): _literal(keyword.value, text) for keyword in node.keywords}
    return _dotted(node.func, text), args, kwargs, True


def _dotted(node: ast.expr, text: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, text)}.{node.attr}"
    raise EngineError(f"“{text}” must name one callable after the colon: {HOW}.", kind="spec")


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise EngineError(
            f"The argument {ast.unparse(node)} in “{text}” is not a literal: only numbers, texts, True, False, None, "
            "and tuples, lists, dicts and sets of these are taken; for more, write a function in a .py file.",
            kind="spec",
        ) from error


def _malformed(text: str) -> EngineError:
    if not text.strip():
        return EngineError(f"No model is named: {HOW}.", kind="spec")
    if text.lower().strip().endswith(_WEIGHTS):
        return EngineError(_is_weights(text.strip()), kind="spec")
    if ":" in text:
        return EngineError(f"What follows the colon in “{text}” is not the name of a callable: {HOW}.", kind="spec")
    hint = f"{text.strip()}:Net" if text.strip().endswith(".py") else "models.py:Net"
    return EngineError(f"“{text}” does not say what builds the model: {HOW}, for example {hint}.", kind="spec")


def _is_weights(path: str) -> str:
    return (
        f"{path} is a checkpoint, which holds weights but no code: name the model's class or function first "
        f"({HOW.removeprefix('write ')}), then the checkpoint."
    )


def _attribute(module: ModuleType, spec: Spec) -> Any:
    value: Any = module
    walked: list[str] = []
    for part in spec.attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise EngineError(_no_attribute(value, part, walked, module, spec), kind="spec") from error
        except Exception as error:
            # A module-level __getattr__ (lazy packages) imports on access, and may fail as an import does.
            message = f"{'.'.join([*walked, part])} of {spec.file or spec.module} could not be imported"
            raise EngineError(f"{message}: {type(error).__name__}: {error}", kind="import") from error
        walked.append(part)
    return value


def _no_attribute(value: Any, part: str, walked: list[str], module: ModuleType, spec: Spec) -> str:
    where = ".".join(walked) or (spec.file or spec.module)
    near = difflib.get_close_matches(part, [name for name in dir(value) if not name.startswith("__")], n=3)
    sentence = f"{where} has no “{part}”"
    if near:
        sentence += f"; did you mean {' or '.join(near)}?"
    offered = offers(module)[:_OFFERED]
    if walked or not offered:
        return sentence if near else sentence + "."
    return f"{sentence}{'' if near else '.'} It offers {', '.join(offered)}."
