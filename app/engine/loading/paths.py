"""Paths as a person writes them."""

from __future__ import annotations

import os
from pathlib import Path


def located(path: str | Path, directory: str = "") -> Path:
    """``path``, with ``~`` for the home folder, seen from ``directory``; nothing is looked up."""
    # Path.expanduser raises for a user that does not exist; this leaves such a name as it is.
    return Path(directory or ".", os.path.expanduser(path))  # noqa: PTH111
