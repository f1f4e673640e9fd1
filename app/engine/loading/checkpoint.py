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
from modelight.engine.loading import alignment, blending, formats, matching, report, unwrap
from modelight.engine.loading.facts import facts
from modelight.engine.loading.matching import Alignment
from modelight.engine.loading.paths import located
from modelight.engine.loading.torchfiles import Trust, refuse
from modelight.engine.modules import skeleton
from modelight.protocol import Clause, LoadReport

if TYPE_CHECKING:
    from modelight.engine.loading.opening import OpenModel


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
    notes: tuple[Clause, ...] = ()
    """What has to be said of the file."""


def read(path: str | Path, *, trust: Trust = False, key: str = "") -> Checkpoint:
    """Read the state dict in a file: ``weights_only``, mapped from the disk where the format allows.

    Args:
        trust: allow a full unpickle, after a person agreed to run the author's code.
        key: which state dict to take where the file holds several (``ema``, ``generator`` …).

    Raises:
        EngineError: kind ``checkpoint`` (unreadable, or no state dict in it), ``consent`` (only a full unpickle could
            read it; the clause names what it would import) or ``memory``.
    """
    try:
        file = located(path)
        raw = formats.read_raw(file, trust)
    except OSError as error:
        raise refuse(f"{path} cannot be read: {error.strerror or error}.") from error
    content = raw.content.state_dict() if isinstance(raw.content, torch.jit.ScriptModule) else raw.content
    found = unwrap.candidates(content)
    if not found:
        raise refuse(f"{file.name} can be read, but holds no state dict: {unwrap.described(raw.content)}.")
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
        notes=(*raw.notes, *(program.note() for key, program in raw.programs.items() if key == chosen.key)),
    )


def load_into(
    module: nn.Module,
    path: str | Path,
    *,
    progress: ReportProgress = no_progress,
    trust: Trust = False,
    key: str = "",
    align: bool = False,
    partial: bool = False,
) -> LoadReport:
    """Load a checkpoint into a model, as far as names and shapes agree, and report what did not.

    Training flags are not touched.

    Args:
        align: load tensors of other names too, as :func:`alignment.propose` pairs them; otherwise they are only told.
        partial: of tensors of another shape, load the block that both have; otherwise they are left as they were.

    Raises:
        EngineError: as :func:`read`; also kind ``checkpoint`` where nothing at all fits (the model is then as it was)
            or the model's own loading code fails.
    """
    progress(Clause("reading-checkpoint", {"file": Path(path).name}), None)
    checkpoint = read(path, trust=trust, key=key)
    progress(Clause("loading-checkpoint", {"file": Path(path).name}), None)
    return load(module, checkpoint, align=align, partial=partial)


def reload(
    open_model: OpenModel,
    path: str | Path,
    *,
    progress: ReportProgress = no_progress,
    trust: Trust = False,
    key: str = "",
    align: bool = False,
    partial: bool = False,
) -> OpenModel:
    """Load another checkpoint into an open model; raises as :func:`load_into`."""
    loaded = load_into(open_model.module, path, progress=progress, trust=trust, key=key, align=align, partial=partial)
    return replace(open_model, report=loaded, checkpoint_buffers=copy_buffers(open_model.module))


def copy_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all buffers, under each name of a shared module; lazy ones have nothing to copy yet."""
    named = skeleton.named_tensors(module, "_buffers")
    return {name: buffer.detach().clone() for name, buffer in named if not is_lazy(buffer)}


def load(module: nn.Module, checkpoint: Checkpoint, *, align: bool = False, partial: bool = False) -> LoadReport:
    """The same for a checkpoint that has been read."""
    own = dict(module.state_dict(keep_vars=True))
    named = matching.align(checkpoint.tensors, own)
    pairs = _pairs(checkpoint, own, named)
    met = replace(named, keys=named.keys | {pair.theirs: pair.ours for pair in pairs}) if align else named
    wanted = {theirs: ours for theirs, ours in met.keys.items() if matching.fits(checkpoint.tensors[theirs], own[ours])}
    blocks = blending.blocks(checkpoint.tensors, own, met.keys, set(wanted)) if partial else {}
    if not wanted and not blocks and own:
        raise report.nothing_fits(module, checkpoint, own, met, [] if align else pairs)
    missing, unexpected = _load(module, checkpoint, met, wanted, own, blocks)
    mismatched = [
        (ours, report.shape(checkpoint.tensors[theirs]), report.shape(own[ours]))
        for theirs, ours in met.keys.items()
        if theirs not in wanted
    ]
    loaded = set(wanted.values())
    kept = {name for name, _, _ in mismatched}
    tied = _tied(own, loaded, missing)
    absent = [name for name in own if (name in missing or _is_lost_counter(name, loaded)) and name not in kept | tied]
    listed: list[tuple[str, str, str]] = [(pair.theirs, pair.ours, pair.why) for pair in pairs if pair.ours not in tied]
    return LoadReport(
        path=checkpoint.path,
        format=checkpoint.format,
        wrapper=checkpoint.wrapper,
        prefix=met.removed,
        loaded=len(loaded),
        missing=absent,
        unexpected=unexpected,
        mismatched=mismatched,
        notes=report.notes(checkpoint, met, own, wanted, absent, tied)
        + report.beyond_names(pairs, align, list(blocks.values())),
        proposed=[] if align else listed,
        aligned=listed if align else [],
        partial=[block.key for block in blocks.values()],
    )


def _pairs(checkpoint: Checkpoint, own: Mapping[str, Any], named: Alignment) -> list[alignment.Pair]:
    """What might be which, of the tensors that names leave over; tied ones have got theirs under another name."""
    met = set(named.keys.values())
    filled = {id(own[ours]) for ours in met if isinstance(own[ours], torch.Tensor)}
    open_places = {name: value for name, value in own.items() if name in met or id(value) not in filled}
    return alignment.propose(checkpoint.tensors, open_places, named.keys)


def _load(
    module: nn.Module,
    checkpoint: Checkpoint,
    met: Alignment,
    wanted: Mapping[str, str],
    own: Mapping[str, Any],
    blocks: Mapping[str, blending.Block],
) -> tuple[set[str], list[str]]:
    """Load what fits; returns the model's keys that got nothing and the checkpoint's keys that went nowhere."""
    # Keys that meet none of the model's are handed over too: load hooks rename old ones (weight_norm's weight_g).
    strays = {theirs: _stray(theirs, met) for theirs in checkpoint.tensors if theirs not in met.keys}
    named = dict(wanted) | strays
    state = OrderedDict(
        (ours, _dequantised(checkpoint.tensors[theirs], own.get(ours))) for theirs, ours in named.items()
    )
    state.update((block.key, block.value) for block in blocks.values())
    if checkpoint.versions is not None:
        state._metadata = _renamed_versions(checkpoint.versions, met)  # type: ignore[attr-defined]
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


def _stray(key: str, met: Alignment) -> str:
    if met.removed:
        return key[len(met.removed) :] if key.startswith(met.removed) else f" {key}"
    return met.added + key


def _renamed_versions(versions: Mapping[str, Any], met: Alignment) -> dict[str, Any]:
    removed = met.removed
    if not removed:
        added = met.added
        return {(added + path if path else added.rstrip(".")): entry for path, entry in versions.items()}
    renamed = {path[len(removed) :]: entry for path, entry in versions.items() if path.startswith(removed)}
    return renamed | {"": versions.get(removed.rstrip("."), {})}


def _is_lost_counter(name: str, loaded: set[str]) -> bool:
    """Batch norm fills in a counter that an old checkpoint lacks without a word, so it is looked for here."""
    return name.rpartition(".")[2] == report.COUNTER and name not in loaded


def _tied(own: Mapping[str, Any], loaded: set[str], missing: set[str]) -> set[str]:
    """Missing names whose tensor was loaded under another name: shared weights are saved once."""
    tensors = {id(own[name]) for name in loaded if isinstance(own[name], torch.Tensor)}
    return {name for name in missing if name in own and id(own[name]) in tensors}


def _choose(found: list[unwrap.Candidate], key: str, file: Path) -> unwrap.Candidate:
    if not key:
        return found[0]
    chosen = [candidate for candidate in found if candidate.key == key]
    if not chosen:
        names = ", ".join(candidate.key or "the file itself" for candidate in found)
        raise refuse(f"{file.name} holds no state dict under “{key}”; it holds: {names}.")
    return chosen[0]
