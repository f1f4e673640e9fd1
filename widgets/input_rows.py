"""What the input's editor edits, as plain rows, and how shapes, subsets and lists of numbers are written in a field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from PySide6.QtCore import QCoreApplication

Kind = Literal["example", "noise", "file", "images", "function"]
Distribution = Literal["normal", "uniform", "constant", "tokens"]
KINDS: tuple[Kind, ...] = ("example", "noise", "file", "images", "function")


@dataclass(frozen=True)
class SourceRow:
    """Where samples come from. Only the fields of its kind mean anything."""

    kind: Kind = "noise"
    subset: tuple[int, ...] | None = None
    """Which samples to take, for example, file and function; None takes all."""
    distribution: Distribution = "normal"
    shape: tuple[int, ...] = ()
    """One sample's shape without the batch dimension; empty: find it out."""
    count: int = 4
    seed: int = 0
    low: float = 0.0
    high: float = 1.0
    path: str = ""
    key: str = ""
    """Which tensor of the file."""
    paths: tuple[str, ...] = ()
    size: tuple[int, int] = (224, 224)
    """Height and width that images are resized to."""
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    spec: str = ""
    """``path/file.py:name`` or ``package.module:name``."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("InputEditor", text)


def kind_name(kind: Kind) -> str:
    """The kind in words."""
    names = {
        "example": _tr("The model’s own example"),
        "noise": _tr("Noise"),
        "file": _tr("Tensor file"),
        "images": _tr("Images"),
        "function": _tr("Function"),
    }
    return names[kind]


def summary(row: SourceRow) -> str:
    """What tells this source from others of its kind, in a few words."""
    chosen = "" if row.subset is None else _tr("samples {0}").format(format_subset(row.subset))
    if row.kind == "noise":
        shape = format_shape(row.shape) or _tr("shape found out")
        return f"{row.count} × {row.distribution}, {shape}"
    if row.kind == "images":
        files = _tr("1 file") if len(row.paths) == 1 else _tr("{0} files").format(len(row.paths))
        return f"{files}, {format_shape(row.size)}"
    if row.kind == "file":
        name = PurePath(row.path).name or _tr("no file yet")
        return ", ".join(filter(None, (name, row.key, chosen)))
    if row.kind == "function":
        return ", ".join(filter(None, (PurePath(row.spec).name or _tr("no function yet"), chosen)))
    return chosen or _tr("all samples")


def problem(row: SourceRow) -> str:
    """Why this source cannot be used yet, as a sentence; "" if it can."""
    if row.kind == "file" and not row.path:
        return _tr("Choose a file.")
    if row.kind == "images" and not row.paths:
        return _tr("Choose one or more pictures.")
    if row.kind == "function" and ":" not in row.spec:
        return _tr("Name a function as path/file.py:name or package.module:name.")
    if row.kind == "noise" and row.distribution in ("uniform", "tokens") and not row.low < row.high:
        return _tr("The upper bound must lie above the lower one.")
    if row.kind == "images":
        return _images_problem(row)
    return ""


def _images_problem(row: SourceRow) -> str:
    if any(len(values) not in (1, row.channels) for values in (row.mean, row.std)):
        return _tr("Mean and deviation take one value, or one for each channel.")
    return _tr("A deviation of 0 cannot be divided by.") if 0 in row.std else ""


def parse_shape(text: str) -> tuple[int, ...]:
    """``3 × 32 × 32``, ``3x32x32`` or ``3, 32, 32``; empty: ().

    Raises:
        ValueError: it is something else. The message is a sentence.
    """
    parts = [part for part in re.split(r"[\s,×xX()\[\]*]+", text.strip()) if part]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(_tr("A shape is written as whole numbers: 3 × 32 × 32."))
    return tuple(int(part) for part in parts)


def format_shape(shape: Sequence[int]) -> str:
    """``3 × 32 × 32``."""
    return " × ".join(map(str, shape))


def parse_subset(text: str) -> tuple[int, ...] | None:
    """``0-3, 7`` → (0, 1, 2, 3, 7); empty: None, which means all.

    Raises:
        ValueError: it is something else, or names more than 65 536 samples.
    """
    if not text.strip():
        return None
    chosen: list[int] = []
    for part in filter(None, re.split(r"[\s,;]+", re.sub(r"\s*[-–−]\s*", "-", text.strip()))):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not match or last < first or last - first + len(chosen) >= 65_536:
            raise ValueError(_tr("Samples are written as places and ranges: 0-3, 7."))
        chosen.extend(range(first, last + 1))
    return tuple(chosen)


def format_subset(subset: Sequence[int] | None) -> str:
    """(0, 1, 2, 3, 7) → ``0-3, 7``; None → ""."""
    if subset is None:
        return ""
    runs: list[list[int]] = []
    for place in subset:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def parse_numbers(text: str) -> tuple[float, ...]:
    """``0.485, 0.456, 0.406``.

    Raises:
        ValueError: it is something else, or nothing.
    """
    try:
        values = tuple(float(part) for part in re.split(r"[\s,;]+", text.strip().replace("−", "-")) if part)
    except ValueError:
        values = ()
    if not values or not all(abs(value) < 1e30 for value in values):
        raise ValueError(_tr("Numbers are written with a comma between them: 0.5, 0.5, 0.5."))
    return values


def format_numbers(values: Sequence[float]) -> str:
    """``0.485, 0.456, 0.406``."""
    return ", ".join(f"{value:g}" for value in values)
