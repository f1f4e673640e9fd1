"""Reading a checkpoint and loading it into a model, with a report that leaves nothing unsaid."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine.errors import ReportProgress, no_progress
from modelight.engine.loading import formats, matching, unwrap
from modelight.engine.loading.facts import facts
from modelight.engine.loading.matching import Alignment
from modelight.engine.loading.torchfiles import refuse
from modelight.protocol import Clause, LoadReport

if TYPE_CHECKING:
    from modelight.engine.loading.opening import OpenModel

_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")
_NAMED = 4


@dataclass(frozen=True)
class Checkpoint:
    """A state dict as it lies in a file."""

    path: str
    format: str
    tensors: dict[str, Any]
    wrapper: str = ""
    """The key it was found under, dotted; empty if the file is the state dict."""
    others: tuple[str, ...] = ()
    """Keys of further state dicts in the same file."""
    flags: dict[str, bool] = field(default_factory=dict)
    """Training flag per module path, where the file carries them; a state dict never does."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What lies beside the weights: epoch, hyper-parameters …"""
    versions: Any = None


def read(path: str | Path, *, trust: bool = False, key: str = "") -> Checkpoint:
    """Read the state dict in a file: ``weights_only``, mapped from the disk where the format allows.

    Args:
        trust: allow a full unpickle, after a person agreed to run the author's code.
        key: which state dict to take where the file holds several (``ema``, ``generator`` …).

    Raises:
        EngineError: kind ``checkpoint`` (unreadable, or no state dict in it), ``consent`` (only a full unpickle could
            read it; the clause names what it would import) or ``memory``.
    """
    file = Path(path).expanduser()
    try:
        raw = formats.read_raw(file, trust)
    except OSError as error:
        raise refuse(f"{file} cannot be read: {error.strerror or error}.") from error
    content = raw.content.state_dict() if isinstance(raw.content, torch.jit.ScriptModule) else raw.content
    found = unwrap.candidates(content)
    if not found:
        raise refuse(f"{file.name} can be read, but holds no state dict: {_describe(content)}.")
    chosen = _choose(found, key, file)
    return Checkpoint(
        path=str(raw.path),
        format=raw.format,
        tensors=chosen.tensors,
        wrapper=chosen.key,
        others=tuple(candidate.key for candidate in found if candidate is not chosen),
        flags=chosen.flags,
        metadata=raw.metadata | facts(content),
        versions=chosen.versions,
    )


def load_into(
    module: nn.Module,
    path: str | Path,
    *,
    progress: ReportProgress = no_progress,
    trust: bool = False,
    key: str = "",
) -> LoadReport:
    """Load a checkpoint into a model, as far as names and shapes agree, and report what did not.

    Tensors of another shape are not loaded. Training flags are not touched.

    Raises:
        EngineError: as :func:`read`; also kind ``checkpoint`` where nothing at all fits (the model is then as it was)
            or the model's own loading code fails.
    """
    progress(Clause("reading-checkpoint", {"file": Path(path).name}), None)
    checkpoint = read(path, trust=trust, key=key)
    progress(Clause("loading-checkpoint", {"file": Path(path).name}), None)
    return load(module, checkpoint)


def reload(
    open_model: OpenModel,
    path: str | Path,
    *,
    progress: ReportProgress = no_progress,
    trust: bool = False,
    key: str = "",
) -> OpenModel:
    """Load another checkpoint into an open model; raises as :func:`load_into`."""
    report = load_into(open_model.module, path, progress=progress, trust=trust, key=key)
    return replace(open_model, report=report, checkpoint_buffers=copy_buffers(open_model.module))


def copy_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all buffers, under each name of a shared module; lazy ones have nothing to copy yet."""
    named = module.named_buffers(remove_duplicate=False)
    return {name: buffer.detach().clone() for name, buffer in named if not is_lazy(buffer)}


def load(module: nn.Module, checkpoint: Checkpoint) -> LoadReport:
    """The same for a checkpoint that has been read."""
    own = dict(module.state_dict(keep_vars=True))
    alignment = matching.align(checkpoint.tensors, own)
    wanted = {
        theirs: ours for theirs, ours in alignment.keys.items() if matching.fits(checkpoint.tensors[theirs], own[ours])
    }
    if not wanted and own:
        raise refuse(_nothing_fits(module, checkpoint, own, alignment))
    missing, unexpected = _load(module, checkpoint, alignment, wanted, own)
    mismatched = [
        (ours, _shape(checkpoint.tensors[theirs]), _shape(own[ours]))
        for theirs, ours in alignment.keys.items()
        if theirs not in wanted
    ]
    loaded = set(wanted.values())
    kept = {name for name, _, _ in mismatched}
    tied = _tied(own, loaded, missing)
    absent = [name for name in own if (name in missing or _is_lost_counter(name, loaded)) and name not in kept | tied]
    return LoadReport(
        path=checkpoint.path,
        format=checkpoint.format,
        wrapper=checkpoint.wrapper,
        prefix=alignment.removed,
        loaded=len(loaded),
        missing=absent,
        unexpected=unexpected,
        mismatched=mismatched,
        notes=_notes(checkpoint, alignment, own, wanted, absent, tied),
    )


def _load(
    module: nn.Module,
    checkpoint: Checkpoint,
    alignment: Alignment,
    wanted: Mapping[str, str],
    own: Mapping[str, Any],
) -> tuple[set[str], list[str]]:
    """Load what fits; returns the model's keys that got nothing and the checkpoint's keys that went nowhere."""
    # Keys that meet none of the model's are handed over too: load hooks rename old ones (weight_norm's weight_g).
    strays = {theirs: _stray(theirs, alignment) for theirs in checkpoint.tensors if theirs not in alignment.keys}
    named = dict(wanted) | strays
    state = OrderedDict(
        (ours, _dequantised(checkpoint.tensors[theirs], own.get(ours))) for theirs, ours in named.items()
    )
    if checkpoint.versions is not None:
        state._metadata = _renamed_versions(checkpoint.versions, alignment)  # type: ignore[attr-defined]
    try:
        result = module.load_state_dict(state, strict=False)
    except Exception as error:
        file = Path(checkpoint.path).name
        raise refuse(f"The model's own code failed while it loaded {file}: open the model again. {error}") from error
    missing, unexpected = (set(result.missing_keys), set(result.unexpected_keys)) if result else (set(), set())
    return missing, [theirs for theirs, ours in strays.items() if ours in unexpected]


def _dequantised(theirs: Any, ours: Any) -> Any:
    """torch copies no quantised tensor into a float one."""
    both = isinstance(theirs, torch.Tensor) and isinstance(ours, torch.Tensor)
    return theirs.dequantize() if both and theirs.is_quantized and not ours.is_quantized else theirs


def _stray(key: str, alignment: Alignment) -> str:
    if alignment.removed:
        return key[len(alignment.removed) :] if key.startswith(alignment.removed) else f" {key}"
    return alignment.added + key


def _renamed_versions(versions: Mapping[str, Any], alignment: Alignment) -> dict[str, Any]:
    removed = alignment.removed
    if not removed:
        added = alignment.added
        return {(added + path if path else added.rstrip(".")): entry for path, entry in versions.items()}
    renamed = {path[len(removed) :]: entry for path, entry in versions.items() if path.startswith(removed)}
    return renamed | {"": versions.get(removed.rstrip("."), {})}


def _is_lost_counter(name: str, loaded: set[str]) -> bool:
    """Batch norm fills in a counter that an old checkpoint lacks without a word, so it is looked for here."""
    return name.rpartition(".")[2] == _COUNTER and name not in loaded


def _tied(own: Mapping[str, Any], loaded: set[str], missing: set[str]) -> set[str]:
    """Missing names whose tensor was loaded under another name: shared weights are saved once."""
    tensors = {id(own[name]) for name in loaded if isinstance(own[name], torch.Tensor)}
    return {name for name in missing if name in own and id(own[name]) in tensors}


def _notes(
    checkpoint: Checkpoint,
    alignment: Alignment,
    own: Mapping[str, Any],
    wanted: Mapping[str, str],
    absent: list[str],
    tied: set[str],
) -> list[Clause]:
    notes = []
    statistics = [name for name in absent if name.rpartition(".")[2] in _STATISTICS]
    counters = [name for name in absent if name.rpartition(".")[2] == _COUNTER]
    if statistics:
        notes.append(Clause("statistics-missing", {"count": len(statistics), "first": statistics[0]}))
    if counters and not statistics:
        notes.append(Clause("counters-missing", {"count": len(counters)}))
    if tied:
        notes.append(Clause("weights-tied", {"names": [*sorted(tied)[:_NAMED]], "count": len(tied)}))
    if alignment.added:
        notes.append(Clause("prefix-added", {"prefix": alignment.added}))
    if alignment.wrappers:
        notes.append(Clause("wrapper-names-passed-over", {}))
    if alignment.rivals:
        notes.append(Clause("prefix-rivals", {"taken": alignment.removed, "others": list(alignment.rivals)}))
    if checkpoint.others:
        taken = checkpoint.wrapper or Path(checkpoint.path).name
        notes.append(Clause("other-state-dicts", {"taken": taken, "others": list(checkpoint.others)}))
    if checkpoint.flags:
        train = sum(checkpoint.flags.values())
        notes.append(Clause("flags-not-taken", {"train": train, "eval": len(checkpoint.flags) - train}))
    # Every safetensors file says "format pt", which tells nothing.
    told: list[str | float] = [f"{name} {text}" for name, text in checkpoint.metadata.items() if name != "format"]
    if told:
        notes.append(Clause("checkpoint-says", {"facts": told}))
    return notes + _conversions(checkpoint, own, wanted)


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


def _choose(found: list[unwrap.Candidate], key: str, file: Path) -> unwrap.Candidate:
    if not key:
        return found[0]
    chosen = [candidate for candidate in found if candidate.key == key]
    if not chosen:
        names = ", ".join(candidate.key or "the file itself" for candidate in found)
        raise refuse(f"{file.name} holds no state dict under “{key}”; it holds: {names}.")
    return chosen[0]


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, torch.Tensor) and not is_lazy(value) else ()


def _nothing_fits(module: nn.Module, checkpoint: Checkpoint, own: Mapping[str, Any], alignment: Alignment) -> str:
    file, name = Path(checkpoint.path).name, type(module).__name__
    if alignment.keys:
        theirs, ours = next(iter(alignment.keys.items()))
        return (
            f"No tensor of {file} has the shape that {name} needs: {ours} is {_shape(checkpoint.tensors[theirs])} "
            f"there and {_shape(own[ours])} in the model. Check the arguments of the constructor."
        )
    theirs_, ours_ = (", ".join(list(keys)[:_NAMED]) for keys in (checkpoint.tensors, own))
    return f"No tensor of {file} belongs to {name}: it holds {theirs_} …, the model has {ours_} …"


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        names = [str(key)[:40] for key in list(content)[:_NAMED]]
        return f"a dict with {', '.join(names)}" if names else "an empty dict"
    if isinstance(content, torch.Tensor):
        return f"one tensor of shape {tuple(content.shape)}"
    return f"an object of type {type(content).__name__}"
