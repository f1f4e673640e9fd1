"""Modelight: which parts of this model are in training mode right now, and what does that do to its outputs?

The names below are loaded on first use, so that ``import modelight`` alone imports neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelight.engine.api import Observation, Snapshot, eval_mode, observe, snapshot, train_mode
    from modelight.engine.check import CheckReport, check

__version__ = "0.1.0"
__all__ = [
    "CheckReport",
    "Observation",
    "Snapshot",
    "__version__",
    "check",
    "eval_mode",
    "observe",
    "snapshot",
    "train_mode",
]
_CHECKING = ("CheckReport", "check")


def __getattr__(name: str) -> Any:
    if name in __all__:
        room = "modelight.engine.check" if name in _CHECKING else "modelight.engine.api"
        return getattr(import_module(room), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
