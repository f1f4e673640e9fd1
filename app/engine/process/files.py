"""Which files a model was made from: the window watches them, and offers to build it anew."""

from __future__ import annotations

import sys
from pathlib import Path

from modelight.engine.loading.opening import OpenModel
from modelight.engine.process.failures import is_library

MOST = 500
"""More are not watched: a person who opens a model with the root of a disk as directory does not mean all of it."""
_OURS = Path(__file__).resolve().parents[2]


def files(model: OpenModel, directory: str) -> list[str]:
    """The checkpoint, the module that built the model, and what else of the person's own code is loaded: beside that
    module or below ``directory``."""
    found = [] if model.report is None else [model.report.path]
    source = getattr(model.source, "__file__", None)
    if not source:
        return found
    home = Path(source).resolve().parent
    root = Path(directory).resolve() if directory else home
    loaded = {file for module in list(sys.modules.values()) if (file := _file(module)) is not None}
    kept = [file for file in loaded if file.parent == home or (file.is_relative_to(root) and _is_the_persons(file))]
    return found + sorted(map(str, kept))[:MOST]


def _file(module: object) -> Path | None:
    """Some modules of torch claim a file that is no path at all (``_ops.py``)."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and Path(file).is_absolute() else None


def _is_the_persons(file: Path) -> bool:
    return not is_library(str(file)) and not file.is_relative_to(_OURS)
