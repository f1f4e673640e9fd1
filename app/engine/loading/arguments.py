"""The arguments of a constructor, read from what a training script kept beside the weights."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelight.engine.errors import EngineError
from modelight.engine.loading import facts, formats
from modelight.engine.loading.paths import located
from modelight.engine.loading.spec import Resolved, Spec
from modelight.engine.loading.standins import plain
from modelight.protocol import Clause, Value

_DEPTH = 3
_LONGEST = 400


@dataclass(frozen=True)
class Proposal:
    """A MODEL with arguments from a checkpoint."""

    spec: str
    """To be opened as it is written."""
    taken: tuple[str, ...]
    """``name=value``, as they stand in the spec."""
    key: str
    """Where in the checkpoint they were found: ``hyper_parameters``, ``config.model`` …"""
    lacking: tuple[str, ...]
    """Arguments that the constructor needs, and that neither the spec nor the checkpoint gives."""


def propose(parsed: Spec, target: Any, path: str, directory: str = "") -> Proposal | None:
    """What the checkpoint says of the arguments that the spec leaves out; None where it says nothing.

    The file is read as any other: ``weights_only``, so that no code of it runs. Only plain values are taken, which a
    spec can hold as literals; those equal to the default are left out.
    """
    wanted = _wanted(target, parsed)
    if not wanted:
        return None
    try:
        content = formats.read_raw(located(path, directory)).content
    except (EngineError, OSError):
        return None  # opening it says why
    best: tuple[dict[str, Any], str] = ({}, "")
    for key, values in _argument_dicts(content):
        found = _found(values, wanted)
        if len(found) > len(best[0]):
            best = found, key
    if not best[0]:
        return None
    return _proposal(parsed, *best, wanted)


def explain(error: EngineError, resolved: Resolved, path: str | None, directory: str = "") -> EngineError:
    """The same error, with the spec to open instead where arguments were what was wrong and the checkpoint has them."""
    is_about_them = isinstance(error.__cause__, TypeError) or error.kind == "checkpoint"
    found = propose(resolved.spec, resolved.target, path, directory) if path and is_about_them else None
    if found is None or path is None:
        return error
    values = {"error": str(error), **_values(found, path)}
    known = "arguments-known" if not found.lacking else "arguments-partly-known"
    return EngineError(f"{error} {_sentence(found, path)}", kind=error.kind, clause=Clause(known, values))


def notes(resolved: Resolved, path: str, directory: str = "") -> list[Clause]:
    """What to say where tensors have other shapes than the checkpoint's: it may name the arguments that it was made
    with."""
    found = propose(resolved.spec, resolved.target, path, directory)
    return [Clause("arguments-differ", _values(found, path))] if found is not None and not found.lacking else []


def _values(found: Proposal, path: str) -> dict[str, Value]:
    return {
        "file": Path(path).name,
        "taken": [*found.taken],
        "key": found.key,
        "spec": found.spec,
        "lacking": [*found.lacking],
    }


def _sentence(found: Proposal, path: str) -> str:
    said = f"{Path(path).name} says {', '.join(found.taken)} (under {found.key}): "
    if found.lacking:
        return f"{said}write these and {', '.join(found.lacking)} after the name, as in {found.spec}."
    return f"{said}open {found.spec}"


def _proposal(parsed: Spec, found: dict[str, Any], key: str, wanted: dict[str, inspect.Parameter]) -> Proposal:
    taken = tuple(f"{name}={value!r}" for name, value in found.items())
    given = [repr(value) for value in parsed.args] + [f"{name}={value!r}" for name, value in parsed.kwargs.items()]
    source = parsed.file or parsed.module
    lacking = tuple(name for name, one in wanted.items() if one.default is one.empty and name not in found)
    return Proposal(f"{source}:{parsed.attribute}({', '.join([*given, *taken])})", taken, key, lacking)


def _wanted(target: Any, parsed: Spec) -> dict[str, inspect.Parameter]:
    """Parameters that the spec does not give, by name."""
    try:
        signature = inspect.signature(target)
        given = signature.bind_partial(*parsed.args, **parsed.kwargs).arguments
    except (TypeError, ValueError):
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: one for name, one in signature.parameters.items() if one.kind in kinds and name not in given}


def _argument_dicts(content: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Mappings that may hold arguments, with where they lie; nested ones too (``config.model``)."""
    if isinstance(content, Mapping):
        for name in facts.ARGUMENTS:
            if name in content:
                yield from _nested(name, content[name], _DEPTH)


def _nested(key: str, value: Any, depth: int) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    held = facts.mapping_of(value)
    if held and depth:
        yield key, held
        for name, inner in held.items():
            if isinstance(name, str):
                yield from _nested(f"{key}.{name}", inner, depth - 1)


def _found(values: Mapping[Any, Any], wanted: dict[str, inspect.Parameter]) -> dict[str, Any]:
    given = {name: plain(values[name]) for name in wanted if name in values}
    return {
        name: value for name, value in given.items() if _is_literal(value) and not _equals(value, wanted[name].default)
    }


def _is_literal(value: Any) -> bool:
    """Whether ``repr`` gives a literal of the same value."""
    if not isinstance(value, (bool, int, float, str, list, tuple, dict, type(None))):
        return False
    text = repr(value)
    try:
        return len(text) <= _LONGEST and bool(ast.literal_eval(text) == value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False


def _equals(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)
