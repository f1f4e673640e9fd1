"""A checkpoint looked at by itself, without the code of its model: a tree from the keys, kinds, marks, wrapping."""

from __future__ import annotations

from modelight.engine.inspect.compare import diff
from modelight.engine.inspect.facts import facts_of, inspect
from modelight.engine.inspect.handlers import handle, handle_pair, handle_tensor
from modelight.engine.inspect.reading import open_checkpoint, stamp_of, take, take_if_there

__all__ = [
    "diff",
    "facts_of",
    "handle",
    "handle_pair",
    "handle_tensor",
    "inspect",
    "open_checkpoint",
    "stamp_of",
    "take",
    "take_if_there",
]
