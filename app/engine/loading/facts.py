"""What a training script wrote beside the weights: epoch, version, hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelight.engine.loading.standins import StandIn, plain

ARGUMENTS = ("hyper_parameters", "hparams", "args", "config", "cfg", "opt", "model_args", "model_config", "params")
"""Names under which training scripts keep what they were called with."""
MOST = 24
_LONGEST = 80


def facts(content: Any) -> dict[str, str]:
    """Numbers and short texts at the top of a checkpoint and among its arguments, as ``name`` → text.

    At most :data:`MOST`, arguments as ``hyper_parameters.classes``. Objects that were read as stand-ins give their
    attributes if they are arguments (``argparse.Namespace``), else nothing.
    """
    found: dict[str, str] = {}
    if isinstance(content, Mapping):
        for name, text in _walk(content):
            if len(found) == MOST:
                break
            found[name] = text
    return found


def _walk(content: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    arguments = [(name, mapping_of(content[name])) for name in ARGUMENTS if name in content]
    yield from _simple("", content)
    for name, values in arguments:
        yield from _simple(f"{name}.", values)


def mapping_of(value: Any) -> Mapping[Any, Any]:
    """What a dict, or an object read as a stand-in, holds by name; empty for anything else."""
    held = value.state if isinstance(value, StandIn) else value
    held = held if isinstance(held, Mapping) else getattr(value, "__dict__", {})
    return held if isinstance(held, Mapping) else {}


def _simple(prefix: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, held in values.items():
        value = plain(held)
        if isinstance(name, str) and isinstance(value, (bool, int, float, str)):
            text = str(value)
            if len(text) <= _LONGEST and len(name) <= _LONGEST:
                yield prefix + name, text
