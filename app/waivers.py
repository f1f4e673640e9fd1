"""Findings that are wanted: ``[tool.modelight] allow = ["ML120"]`` in ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path


def allowed_in(folder: Path) -> list[str]:
    """Ids waived in the ``pyproject.toml`` of ``folder`` or the nearest above it.

    Raises:
        ValueError: the file is no TOML, or the entry no list of ids; the message says what to write.
    """
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            return _read(file)
    return []


def _read(file: Path) -> list[str]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("modelight", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from error
    allow = table.get("allow", []) if isinstance(table, dict) else None
    if not isinstance(allow, list) or not all(isinstance(item, str) for item in allow):
        raise ValueError(f'{file}: write [tool.modelight] allow = ["ML120"], a list of finding ids.')
    return allow
