"""What to say of how a checkpoint met a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine.errors import EngineError
from modelight.engine.loading import alignment
from modelight.engine.loading.alignment import Pair
from modelight.engine.loading.blending import Block
from modelight.engine.loading.matching import Alignment
from modelight.engine.loading.torchfiles import refuse
from modelight.protocol import Clause, Value

if TYPE_CHECKING:
    from modelight.engine.loading.checkpoint import Checkpoint

COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")
_NAMED = 4
_EMPTY = ("format", "total_size")
"""What every file of safetensors says (``pt``), and every index of shards: it tells nothing."""


def notes(
    checkpoint: Checkpoint,
    met: Alignment,
    own: Mapping[str, Any],
    wanted: Mapping[str, str],
    absent: list[str],
    tied: set[str],
) -> list[Clause]:
    """Everything beyond the lists of keys; ``wanted`` is what was loaded, ``absent`` what the checkpoint lacks."""
    said = []
    statistics = [name for name in absent if name.rpartition(".")[2] in _STATISTICS]
    # A layer without its statistics lacks more than its counter: it is told once.
    bare = {name.rpartition(".")[0] for name in statistics}
    layers = [name.rpartition(".")[0] for name in absent if name.rpartition(".")[2] == COUNTER]
    counters = [layer for layer in layers if layer not in bare]
    if statistics:
        said.append(Clause("statistics-missing", {"count": len(statistics), "first": statistics[0]}))
    if counters:
        said.append(Clause("counters-missing", {"count": len(counters)}))
    if tied:
        said.append(Clause("weights-tied", {"names": [*sorted(tied)[:_NAMED]], "count": len(tied)}))
    if met.added:
        said.append(Clause("prefix-added", {"prefix": met.added}))
    if met.wrappers:
        said.append(Clause("wrapper-names-passed-over", {}))
    if met.rivals:
        said.append(Clause("prefix-rivals", {"taken": met.removed, "others": list(met.rivals)}))
    if checkpoint.others:
        taken = checkpoint.wrapper or Path(checkpoint.path).name
        said.append(Clause("other-state-dicts", {"taken": taken, "others": list(checkpoint.others)}))
    if checkpoint.flags:
        train = sum(checkpoint.flags.values())
        said.append(Clause("flags-not-taken", {"train": train, "eval": len(checkpoint.flags) - train}))
    said += checkpoint.notes
    told: list[str | float] = [f"{name} {text}" for name, text in checkpoint.metadata.items() if name not in _EMPTY]
    if told:
        said.append(Clause("checkpoint-says", {"facts": told}))
    return said + _conversions(checkpoint, own, wanted)


def _conversions(checkpoint: Checkpoint, own: Mapping[str, Any], wanted: Mapping[str, str]) -> list[Clause]:
    """One note for each pair of dtypes that loading converted between."""
    counts: dict[tuple[str, str], int] = {}
    for theirs, ours in wanted.items():
        source, target = checkpoint.tensors[theirs], own[ours]
        if isinstance(source, torch.Tensor) and not is_lazy(target) and source.dtype != target.dtype:
            pair = (str(source.dtype).removeprefix("torch."), str(target.dtype).removeprefix("torch."))
            counts[pair] = counts.get(pair, 0) + 1
    return [
        Clause("dtype-converted", {"count": count, "source": source, "target": target})
        for (source, target), count in counts.items()
    ]


def shape(value: Any) -> tuple[int, ...]:
    """The shape of a tensor; empty for what has none yet."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) and not is_lazy(value) else ()


def beyond_names(pairs: Sequence[Pair], align: bool, blocks: Sequence[Block]) -> list[Clause]:
    """What names and shapes alone did not place: proposed, or loaded because a person asked for it."""
    said = []
    if pairs:
        said.append(Clause("aligned-beyond-names" if align else "alignment-proposed", _figures(pairs)))
    if blocks:
        first, elements = blocks[0].key, sum(block.elements for block in blocks)
        of = sum(block.value.numel() for block in blocks)
        said.append(Clause("loaded-in-part", {"count": len(blocks), "first": first, "elements": elements, "of": of}))
    return said


def _figures(pairs: Sequence[Pair]) -> dict[str, Value]:
    first = pairs[0]
    return {"count": len(pairs), "theirs": first.theirs, "ours": first.ours, **alignment.counts(pairs)}


def nothing_fits(
    module: nn.Module, checkpoint: Checkpoint, own: Mapping[str, Any], met: Alignment, pairs: Sequence[Pair]
) -> EngineError:
    """The refusal of a checkpoint of another model, or of one with other names or arguments."""
    file, name = Path(checkpoint.path).name, type(module).__name__
    if pairs:
        values = {"file": file, "path": checkpoint.path, "model": name, "of": len(own), **_figures(pairs)}
        clause = Clause("checkpoint-other-names", values)
        return EngineError(
            f"No name in {file} is one of {name}'s, but {len(pairs)} of its tensors have the shapes of the model's: "
            f"{pairs[0].theirs} may be {pairs[0].ours}. Ask for them to be aligned (--align) to load them so.",
            kind="checkpoint",
            clause=clause,
        )
    return refuse(_nothing_fits(file, name, checkpoint, own, met))


def _nothing_fits(file: str, name: str, checkpoint: Checkpoint, own: Mapping[str, Any], met: Alignment) -> str:
    if met.keys:
        theirs, ours = next(iter(met.keys.items()))
        return (
            f"No tensor of {file} has the shape that {name} needs: {ours} is {shape(checkpoint.tensors[theirs])} "
            f"there and {shape(own[ours])} in the model. Check the arguments of the constructor."
        )
    theirs_, ours_ = (", ".join(list(keys)[:_NAMED]) for keys in (checkpoint.tensors, own))
    return f"No tensor of {file} belongs to {name}: it holds {theirs_} …, the model has {ours_} …"
