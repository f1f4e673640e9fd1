"""What to say of how a checkpoint met a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine.loading.matching import Alignment
from modelight.protocol import Clause

if TYPE_CHECKING:
    from modelight.engine.loading.checkpoint import Checkpoint

COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")
_NAMED = 4


def notes(
    checkpoint: Checkpoint,
    alignment: Alignment,
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
    if alignment.added:
        said.append(Clause("prefix-added", {"prefix": alignment.added}))
    if alignment.wrappers:
        said.append(Clause("wrapper-names-passed-over", {}))
    if alignment.rivals:
        said.append(Clause("prefix-rivals", {"taken": alignment.removed, "others": list(alignment.rivals)}))
    if checkpoint.others:
        taken = checkpoint.wrapper or Path(checkpoint.path).name
        said.append(Clause("other-state-dicts", {"taken": taken, "others": list(checkpoint.others)}))
    if checkpoint.flags:
        train = sum(checkpoint.flags.values())
        said.append(Clause("flags-not-taken", {"train": train, "eval": len(checkpoint.flags) - train}))
    # Every safetensors file says "format pt", which tells nothing.
    told: list[str | float] = [f"{name} {text}" for name, text in checkpoint.metadata.items() if name != "format"]
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


def nothing_fits(module: nn.Module, checkpoint: Checkpoint, own: Mapping[str, Any], alignment: Alignment) -> str:
    """The sentence for a checkpoint of another model, or of one with other arguments."""
    file, name = Path(checkpoint.path).name, type(module).__name__
    if alignment.keys:
        theirs, ours = next(iter(alignment.keys.items()))
        return (
            f"No tensor of {file} has the shape that {name} needs: {ours} is {shape(checkpoint.tensors[theirs])} "
            f"there and {shape(own[ours])} in the model. Check the arguments of the constructor."
        )
    theirs_, ours_ = (", ".join(list(keys)[:_NAMED]) for keys in (checkpoint.tensors, own))
    return f"No tensor of {file} belongs to {name}: it holds {theirs_} …, the model has {ours_} …"
