"""What is wrong with the tensors of a checkpoint: NaN, infinity, variances of zero, statistics that never moved.

The ids are those of an open model's marks (``engine.policy.marks``), so that both say the same words.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from modelight.engine.inspect.values import Exact, doubles, unreadable
from modelight.protocol import Clause

MEAN, VARIANCE, COUNTER = "running_mean", "running_var", "num_batches_tracked"
STATISTICS = (MEAN, VARIANCE, COUNTER)
MAX_CHANNELS = 16 * 1024 * 1024
"""Statistics of more channels than this are none: their values are not read unasked."""


def is_statistic(name: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor is a norm layer's statistic, small enough to look at unasked."""
    return name in STATISTICS and tensor.dim() <= 1 and tensor.numel() <= MAX_CHANNELS


def value_marks(name: str, figures: Exact) -> list[Clause]:
    """``has-nan`` and ``has-infinite`` {tensor, count} of a tensor all of whose values were read."""
    counts = (("has-nan", figures.nan), ("has-infinite", figures.infinite))
    return [Clause(id_, {"tensor": name, "count": count}) for id_, count in counts if count]


def statistics_marks(own: Mapping[str, torch.Tensor]) -> list[Clause]:
    """Marks of one layer's running statistics; ``own`` holds the layer's own tensors by last name.

    ``zero-variance`` and ``negative-variance`` {count, channels}, ``untouched-statistics`` {channels}, and
    ``statistics-incomplete`` {present, absent} where mean and variance are not both there.
    """
    present = [name for name in (MEAN, VARIANCE) if name in own]
    if len(present) == 1:
        absent = VARIANCE if present[0] == MEAN else MEAN
        return [Clause("statistics-incomplete", {"present": present[0], "absent": absent})]
    if not present or any(not is_statistic(name, own[name]) or unreadable(own[name]) for name in present):
        return []
    mean, variance = doubles(own[MEAN]), doubles(own[VARIANCE])
    counts = (("zero-variance", int((variance == 0).sum())), ("negative-variance", int((variance < 0).sum())))
    found = [Clause(id_, {"count": count, "channels": variance.size}) for id_, count in counts if count]
    if not _was_counted(own) and mean.size and np.all(mean == 0) and np.all(variance == 1):
        found.append(Clause("untouched-statistics", {"channels": variance.size}))
    return found


def statistics_notes(own: Mapping[str, torch.Tensor]) -> list[Clause]:
    """``counter-absent`` where running statistics come without ``num_batches_tracked``."""
    return [Clause("counter-absent")] if MEAN in own and VARIANCE in own and COUNTER not in own else []


def _was_counted(own: Mapping[str, torch.Tensor]) -> bool:
    counter = own.get(COUNTER)
    return counter is not None and counter.numel() == 1 and not unreadable(counter) and doubles(counter)[0] > 0
