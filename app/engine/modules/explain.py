"""Why a model raised, where the mode is the reason: errors that are raised in train mode only."""

from __future__ import annotations

import re

from torch import nn

from modelight.engine import catalog
from modelight.engine.modules import flag
from modelight.protocol import Clause

_ONE_VALUE = re.compile(r"Expected more than 1 (value per channel|spatial element) when training")
_TARGETS = re.compile(r"\b(targets?|labels?|ground.?truth|annotations?|gt_\w+)\b", re.IGNORECASE)


def failure(module: nn.Module, error: BaseException) -> Clause | None:
    """What the mode of ``module``, the innermost that was running, has to do with its ``error``.

    ``raised-one-value`` {type}; ``raised-without-targets`` {source} and ``raised-in-train`` {source} for a module in
    train whose code reads its flag. None where nothing says that the mode matters.
    """
    if not flag.read(module):
        return None
    text = str(error)
    if _ONE_VALUE.search(text):
        return Clause("raised-one-value", {"type": type(module).__name__})
    read = next((c for c in catalog.describe(module, 0).effect if c.id in ("reads-flag", "norm-reads-flag")), None)
    if read is None:
        return None
    id_ = "raised-without-targets" if _TARGETS.search(text) else "raised-in-train"
    return Clause(id_, {"source": read.values["source"]})
