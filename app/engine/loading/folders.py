"""Checkpoints of several files: which file of a folder is meant, an index of shards, shards that are only numbered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelight.engine.loading.torchfiles import first_line, refuse

MAX_INDEX = 64 * 1024 * 1024
_WEIGHTS = (
    "*.safetensors.index.json",
    "*.bin.index.json",
    "model.safetensors",
    "pytorch_model.bin",
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
)
"""In which order a folder's files are tried: safetensors first, whole indices before single files."""
_NUMBERED = re.compile(r"(.+)-(\d+)-of-(\d+)(\.(?:safetensors|bin|pt|pth))")
_NAMED = 8


@dataclass(frozen=True)
class Index:
    """An index of shards that was read."""

    weight_map: dict[str, str]
    """Tensor → the file beside the index that holds it."""
    metadata: dict[str, str]

    @property
    def shards(self) -> list[str]:
        """Every file that is named, once."""
        return sorted(set(self.weight_map.values()))


def chosen(folder: Path) -> Path | list[Path]:
    """The one file that holds the folder's checkpoint, or all of its numbered shards.

    Raises:
        EngineError: kind ``checkpoint`` where there is none, where there are several, or where shards are missing.
    """
    list(folder.iterdir())  # a folder that may not be listed is told so, while glob() finds nothing in it
    for pattern in _WEIGHTS:
        found = sorted(folder.glob(pattern))
        if len(found) > 1 and not pattern.endswith(".json"):
            return _together(folder, found)
        if found:
            return _together(folder, found) if number_of(found[0]) else found[0]
    inner = [child.name for child in sorted(folder.iterdir()) if child.is_dir() and _holds_one(child)]
    if inner:
        raise refuse(f"{folder} holds a checkpoint in each of its folders {_listed(inner)}: name one of them.")
    raise refuse(f"{folder} is a folder without a checkpoint in it: name the file.")


def number_of(path: Path) -> tuple[int, int] | None:
    """(which, of how many) of a shard, as its name says: ``model-00001-of-00003.safetensors``."""
    match = _NUMBERED.fullmatch(path.name)
    return (int(match[2]), int(match[3])) if match else None


def numbered(folder: Path) -> list[Path]:
    """The numbered shards of a folder that :func:`chosen` took together."""
    found = chosen(folder)
    return found if isinstance(found, list) else [found]


def index(path: Path) -> Index:
    """Read ``*.index.json`` as Hugging Face writes it.

    Raises:
        EngineError: kind ``checkpoint`` for what is no index, names a file elsewhere, or a shard that is missing.
    """
    found = Index(*_index(path))
    for name in found.shards:
        if Path(name).name != name or "\\" in name or name in ("", "..") or name.endswith(".json"):
            raise refuse(f"{path.name} names “{name}”, which is not a file beside it: it is refused.")
        if not (path.parent / name).is_file():
            raise refuse(f"{path.name} names the shard {name}, which is missing: copy it beside the index.")
    return found


def _together(folder: Path, found: list[Path]) -> list[Path]:
    """The files as the shards of one checkpoint, if their numbers say so."""
    matches = [_NUMBERED.fullmatch(file.name) for file in found]
    kinds = {(match[1], match[3], match[4]) if match else None for match in matches}
    if len(kinds) > 1 or None in kinds:
        raise refuse(
            f"{folder} is a folder with several checkpoints: name one of {_listed([file.name for file in found])}."
        )
    there = {int(match[2]) for match in matches if match}
    total = max(int(match[3]) for match in matches if match)
    first = min(there | {1})  # some count from 0
    lacking = sorted(set(range(first, first + total)) - there)[:_NAMED]
    if lacking:
        numbers = ", ".join(str(number) for number in lacking)
        raise refuse(f"{folder} holds {len(there)} of {total} shards and no index: number {numbers} is missing.")
    return found


def _holds_one(folder: Path) -> bool:
    try:
        return any(next(folder.glob(pattern), None) is not None for pattern in _WEIGHTS)
    except OSError:
        return False


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def _index(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    if path.stat().st_size > MAX_INDEX:
        raise refuse(f"{path.name} is too large for an index.")
    try:
        content = json.loads(path.read_text("utf-8"))
        found = content["weight_map"]
        if not found or not all(isinstance(name, str) for name in found.values()):
            raise ValueError("weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refuse(f"{path.name} is not an index of shards: {first_line(error)}") from error
    return dict(found), _texts(content.get("metadata"))


def _texts(metadata: Any) -> dict[str, str]:
    held = metadata if isinstance(metadata, Mapping) else {}
    return {name: str(value) for name, value in held.items() if isinstance(value, str | int | float | bool)}
