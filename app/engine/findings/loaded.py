"""ML180: did the checkpoint fill the model?"""

from __future__ import annotations

from collections.abc import Iterator

from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import named
from modelight.protocol import Finding, Value


def with_gaps(evidence: Evidence) -> Iterator[Finding]:
    """Tensors of the model that the checkpoint left as they were built: keys that it lacks or has in another shape.

    A batch counter that is missing, as in files of old torch, is no gap: nothing in eval depends on it.
    """
    report = evidence.loaded
    if report is None:
        return
    absent = [name for name in report.missing if not name.endswith("num_batches_tracked")]
    other = [name for name, _, _ in report.mismatched]
    if not absent and not other:
        return
    first = (absent + other)[0]
    values: dict[str, Value] = {
        "tensors": len(absent) + len(other),
        "loaded": report.loaded,
        "absent": len(absent),
        "absent_names": named(absent),
        "mismatched": len(other),
        "mismatched_names": named(other),
        "say": [*(["ML180.absent"] if absent else []), *(["ML180.mismatched"] if other else []), "ML180.so"],
    }
    yield Finding("ML180", "warning", first.rpartition(".")[0], values)
