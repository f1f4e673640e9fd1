"""Between the protocol's sources and the rows that the input's editor edits."""

from __future__ import annotations

from collections.abc import Sequence

from modelight.protocol import Example, FromFile, FromFunction, Images, Noise, Source
from modelight.widgets.input_rows import SourceRow


def source_rows(sources: Sequence[Source]) -> list[SourceRow]:
    """Rows for the editor."""
    return [_row(source) for source in sources]


def sources_of(rows: Sequence[SourceRow]) -> list[Source]:
    """Sources for the engine."""
    return [_source(row) for row in rows]


def _row(source: Source) -> SourceRow:
    match source:
        case Example():
            return SourceRow("example", subset=source.samples)
        case Noise():
            return SourceRow(
                "noise",
                distribution=source.distribution,
                shape=source.shape,
                count=source.samples,
                seed=source.seed,
                low=source.low,
                high=source.high,
            )
        case FromFile():
            return SourceRow("file", subset=source.samples, path=source.path, key=source.key)
        case Images():
            return SourceRow(
                "images",
                paths=source.paths,
                size=source.size,
                channels=source.channels,
                mean=source.mean,
                std=source.std,
            )
        case FromFunction():
            return SourceRow("function", subset=source.samples, spec=source.spec)


def _source(row: SourceRow) -> Source:
    match row.kind:
        case "example":
            return Example(row.subset)
        case "noise":
            return Noise(row.distribution, row.shape, row.count, row.seed, row.low, row.high)
        case "file":
            return FromFile(row.path, row.key, row.subset)
        case "images":
            return Images(row.paths, row.size, row.channels, row.mean, row.std)
        case "function":
            return FromFunction(row.spec, row.subset)
