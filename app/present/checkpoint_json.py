"""A checkpoint looked at by itself, as JSON; ``docs/inspect.md`` describes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from modelight.phrases import phrase
from modelight.present.checkpoint_text import marks_of
from modelight.protocol import Array, CheckpointDifference, CheckpointFacts, Clause

FORMAT = 1
"""Counted up when a field changes its meaning or goes."""


def facts_json(facts: CheckpointFacts) -> str:
    """One checkpoint."""
    return _text({"format_version": FORMAT, **_facts(facts)})


def pair_json(first: CheckpointFacts, other: CheckpointFacts, difference: CheckpointDifference) -> str:
    """Two checkpoints and how they differ."""
    pair = {"first": _facts(first), "other": _facts(other), "difference": builtins(difference)}
    return _text({"format_version": FORMAT, **pair})


def _facts(facts: CheckpointFacts) -> dict[str, Any]:
    fields = builtins(facts)
    fields["attention"] = [{"where": where, "text": text} for where, text in marks_of(facts)]
    for name in ("wrapping", "metadata", "extras"):
        fields[name] = dict(fields[name])
    return dict(fields)


def builtins(value: Any) -> Any:
    """Structs as objects, clauses with their words, arrays as lists, numbers that JSON lacks as inf, -inf and nan."""
    if isinstance(value, Clause):
        return {"id": value.id, "text": phrase(value), "values": builtins(value.values)}
    if isinstance(value, Array):
        return value.numpy().tolist()
    if isinstance(value, msgspec.Struct):
        return {name: builtins(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(name): builtins(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [builtins(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False)
