"""From :class:`protocol.ReEstimated` to what the re-estimation panel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelight.phrases import phrase
from modelight.protocol import Array, NormEstimate, ReEstimated
from modelight.widgets.reestimate_data import NormChange, ReEstimateData


def reestimate_data(found: ReEstimated, *, outdated: bool = False) -> ReEstimateData:
    """The panel."""
    return ReEstimateData(
        norms=tuple(_change(one) for one in found.norms),
        samples=found.samples,
        batch=found.batch,
        passes=found.passes,
        batches=found.batches,
        moved=found.moved,
        probabilities=found.measure != "raw",
        labelled=found.labelled,
        right_now=found.right_before,
        right_new=found.right_after,
        notes=tuple(phrase(note) for note in found.notes),
        outdated=outdated,
    )


def _change(one: NormEstimate) -> NormChange:
    return NormChange(
        path=one.path,
        type=one.type,
        mean_now=one.mean_before.numpy(),
        mean_new=one.mean_after.numpy(),
        var_now=one.var_before.numpy(),
        var_new=one.var_after.numpy(),
        drift_now=_floats(one.drift_before),
        drift_new=_floats(one.drift_after),
        kept=phrase(one.kept) if one.kept is not None else "",
    )


def _floats(values: Array | None) -> NDArray[np.float64] | None:
    return None if values is None else values.numpy()
