"""Everything that can be said of a checkpoint without its model, with the values left on the disk unless asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from modelight.engine.errors import Cancelled, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.inspect import kinds, marks, tree, values
from modelight.engine.inspect.reading import Content, Known, open_checkpoint
from modelight.engine.inspect.wrapping import text_of, wrapping
from modelight.engine.loading import baked
from modelight.engine.loading.baked import Baked
from modelight.engine.loading.torchfiles import Trust
from modelight.protocol import (
    CheckpointFacts,
    CheckpointLayer,
    CheckpointTensor,
    Clause,
    StateDictInfo,
    plain,
)

_BUFFERS = frozenset(
    {*marks.STATISTICS, "inv_freq", "position_ids", "token_type_ids", "relative_position_index", "masked_bias"}
    | {"attn_mask", "causal_mask", "weight_u", "_u", "_v", "min_val", "max_val"}
    | {"fake_quant_enabled", "observer_enabled"}
)
"""Last names that layers of torch and of common libraries give to buffers."""
_QUANTIZED = frozenset({"scale", "zero_point"})
_AVERAGED = frozenset({"cluster_size", "embed_avg"})
"""In a codebook that is a moving average, as vector-quantizing models keep it."""


def inspect(
    path: str | Path,
    *,
    key: str = "",
    trust: Trust = False,
    deep: bool = False,
    progress: ReportProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> CheckpointFacts:
    """Look at a checkpoint by itself.

    Args:
        key: which state dict, where the file holds several; empty: the likeliest.
        deep: read every value, for exact figures and marks of every tensor. Otherwise only statistics of norm layers
            are read, and the tree of a large file is there at once.

    Raises:
        EngineError: as :func:`open_checkpoint`; :class:`Cancelled` where ``should_stop`` said so.
    """
    progress(Clause("reading-checkpoint", {"file": Path(path).name}), None)
    return facts_of(open_checkpoint(path, key=key, trust=trust), deep, progress, should_stop)


def facts_of(
    content: Content,
    deep: bool = False,
    progress: ReportProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> CheckpointFacts:
    """The same for a checkpoint that is open."""
    tensors = tensors_of(content)
    extras = {name: item for name, item in content.chosen.tensors.items() if name not in tensors}
    root = tree.build(tensors, extras, content.known.types)
    listed = _Listing(content, tensors, root, deep, progress, should_stop)
    counted = [entry for entry in listed.tensors if not entry.tied_to]
    return CheckpointFacts(
        path=plain(content.path),
        format=content.format,
        file_bytes=content.file_bytes,
        stamp=content.stamp,
        key=plain(content.chosen.key),
        state_dicts=[StateDictInfo(plain(one.key), _count(one.tensors)) for one in content.candidates],
        layers=listed.layers,
        tensors=listed.tensors,
        parameters=sum(tensors[listed.keys[entry.name]].numel() for entry in counted if entry.role == "parameter"),
        buffers=sum(tensors[listed.keys[entry.name]].numel() for entry in counted if entry.role == "buffer"),
        tensor_bytes=sum(entry.bytes for entry in counted),
        dtypes=_dtypes(tensors[listed.keys[entry.name]] for entry in counted),
        has_flags=bool(content.known.flags),
        deep=deep,
        wrapping=_wrapping(content),
        metadata=[(plain(name), plain(text)) for name, text in content.metadata.items()],
        extras=[(plain(name), plain(text_of(item))) for name, item in extras.items()],
        notes=_notes(content, listed.layers, deep),
    )


def tensors_of(content: Content) -> dict[str, torch.Tensor]:
    """The chosen state dict's tensors, in a readable order where the format keeps none of its own."""
    found = {name: item for name, item in content.chosen.tensors.items() if isinstance(item, torch.Tensor)}
    return {name: found[name] for name in tree.natural(list(found))} if "safetensors" in content.format else found


def _count(state: Mapping[str, Any]) -> int:
    return sum(isinstance(item, torch.Tensor) for item in state.values())


def _dtypes(tensors: Any) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for tensor in tensors:
        counts[_dtype(tensor)] += tensor.numel()
    return dict(counts.most_common())


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _wrapping(content: Content) -> list[tuple[str, str]]:
    if content.chosen.key:
        return wrapping(content.raw, {one.key for one in content.candidates})
    # The file is the state dict or the model itself; dicts of something else may lie beside the tensors.
    beside = content.raw if isinstance(content.raw, Mapping) else {}
    return wrapping({name: item for name, item in beside.items() if str(name) not in content.chosen.tensors}, set())


@dataclass
class _Sums:
    parameters: int = 0
    buffers: int = 0
    bytes: int = 0


class _Listing:
    """Layers and tensors of one state dict, with everything added up to the root."""

    def __init__(
        self,
        content: Content,
        tensors: dict[str, torch.Tensor],
        root: tree.Node,
        deep: bool,
        progress: ReportProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._known, self._all, self._deep = content.known, tensors, deep
        self._progress, self._should_stop = progress, should_stop
        wanted = (tensor for name, tensor in tensors.items() if self._is_wanted(name.rpartition(".")[2], tensor))
        self._read, self._to_read = 0, max(1, sum(values.memory(tensor) for tensor in wanted))
        self._owners: dict[tuple[Any, ...], str] = {}
        self.tensors: list[CheckpointTensor] = []
        self.keys: dict[str, str] = {}
        """Key in the state dict by the name that is shown."""
        nodes = list(tree.walk(root))
        sums = [self._list_tensors(node, index) for index, (node, _) in enumerate(nodes)]
        for index in range(len(nodes) - 1, 0, -1):
            above, here = sums[nodes[index][1]], sums[index]
            above.parameters += here.parameters
            above.buffers += here.buffers
            above.bytes += here.bytes
        self.layers = [self._layer(node, parent, sums[index]) for index, (node, parent) in enumerate(nodes)]

    def _list_tensors(self, node: tree.Node, layer: int) -> _Sums:
        sums = _Sums()
        for name, key in node.tensors.items():
            entry = self._tensor(name, key, node, layer)
            self.tensors.append(entry)
            self.keys[entry.name] = key
            if entry.tied_to:
                continue
            sums.bytes += entry.bytes
            if entry.role == "parameter":
                sums.parameters += self._all[key].numel()
            else:
                sums.buffers += self._all[key].numel()
        return sums

    def _tensor(self, name: str, key: str, node: tree.Node, layer: int) -> CheckpointTensor:
        tensor = self._all[key]
        figures = self._figures(name, key, tensor)
        role, guessed = self._role(name, key, node, tensor)
        owner = self._owner(key, tensor)
        return CheckpointTensor(
            name=plain(key),
            layer=layer,
            shape=tuple(tensor.shape),
            dtype=_dtype(tensor),
            bytes=values.memory(tensor),
            role=role,
            role_guessed=guessed,
            tied_to="" if owner == key else plain(owner),
            stats=figures.stats if figures is not None and self._deep else None,
            marks=marks.value_marks(plain(name), figures) if figures is not None else [],
        )

    def _figures(self, name: str, key: str, tensor: torch.Tensor) -> values.Exact | None:
        if self._should_stop():
            raise Cancelled
        if not self._is_wanted(name, tensor) or values.unreadable(tensor) is not None:
            return None
        # On a cold disk each of many statistics, scattered over a large file, takes its time.
        self._progress(Clause("reading-values", {"tensor": plain(key)}), self._read / self._to_read)
        self._read += values.memory(tensor)
        return values.exact(tensor, should_stop=self._should_stop)

    def _is_wanted(self, name: str, tensor: torch.Tensor) -> bool:
        return self._deep or marks.is_statistic(name, tensor)

    def _role(
        self, name: str, key: str, node: tree.Node, tensor: torch.Tensor
    ) -> tuple[Literal["parameter", "buffer"], bool]:
        if self._known.parameters is not None:
            return ("parameter" if key in self._known.parameters else "buffer"), False
        if isinstance(tensor, torch.nn.Parameter):
            return "parameter", False
        old_spectral = name == "weight_v" and "weight_orig" in node.tensors
        observer = {"min_val", "max_val"} <= node.tensors.keys()
        # A quantized layer has both, as numbers; a scale alone is learned.
        quantized = name in _QUANTIZED and node.tensors.keys() >= _QUANTIZED
        codebook = node.tensors.keys() >= _AVERAGED
        whole_numbers = not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)
        is_buffer = name in _BUFFERS or old_spectral or observer or quantized or codebook or whole_numbers
        return ("buffer" if is_buffer else "parameter"), True

    def _owner(self, key: str, tensor: torch.Tensor) -> str:
        """The first key that shows the same memory in the same way."""
        if tensor.layout is not torch.strided or tensor.device.type == "meta" or not tensor.numel():
            return key
        memory = tensor.untyped_storage().data_ptr()
        return self._owners.setdefault((memory, tensor.storage_offset(), tensor.shape, tensor.stride()), key)

    def _layer(self, node: tree.Node, parent: int, sums: _Sums) -> CheckpointLayer:
        type_ = self._known.types.get(node.path)
        kind = kinds.kind_of(tree.own_of(node, self._all)) if type_ is None else Clause("kind-named", {"type": type_})
        own = {name: self._all[key] for name, key in node.tensors.items()}
        return CheckpointLayer(
            path=plain(node.path),
            name=plain(node.name),
            parent=parent,
            kind=kind,
            guessed=type_ is None and kind.id not in kinds.CERTAIN,
            training=self._known.flags.get(node.path),
            parameters=sums.parameters,
            buffers=sums.buffers,
            bytes=sums.bytes,
            marks=marks.statistics_marks(own),
            notes=marks.statistics_notes(own) + _mode_notes(self._known, node.path),
        )


def _mode_notes(known: Known, path: str) -> list[Clause]:
    """``mode-baked-train``, ``mode-baked-eval`` or ``mode-baked-both`` where a module's mode can change no more."""
    counts = (known.modes or {}).get(path, Baked())
    if counts == Baked():
        return []
    both = "both" if counts.eval else "train"
    return [Clause(f"mode-baked-{both if counts.train else 'eval'}")]


def _notes(content: Content, layers: list[CheckpointLayer], deep: bool) -> list[Clause]:
    known, notes = content.known, []
    if known.flags:
        train = sum(known.flags.values())
        notes.append(Clause("flags-carried", {"train": train, "eval": len(known.flags) - train}))
    elif known.is_script:
        notes.append(Clause("script-frozen"))
    elif known.modes is None:
        notes.append(Clause("no-training-flags"))
    if known.flags and known.flags_are_idle and known.modes is not None:
        counts = baked.total(known.modes)
        id_ = "flags-idle" if counts != Baked() else "flags-idle-no-modes"
        notes.append(Clause(id_, {"train": counts.train, "eval": counts.eval}))
    notes += content.notes
    if content.chosen.key in content.programs:
        notes.append(content.programs[content.chosen.key].note())
    if any(layer.guessed for layer in layers):
        notes.append(Clause("kinds-guessed"))
    if len(content.candidates) > 1:
        others = [plain(one.key) for one in content.candidates if one is not content.chosen]
        notes.append(Clause("other-state-dicts", {"taken": plain(content.chosen.key), "others": [*others]}))
    counterless = sum(note.id == "counter-absent" for layer in layers for note in layer.notes)
    if counterless:
        notes.append(Clause("counters-absent", {"count": counterless}))
    if not deep and any(name.rpartition(".")[2] not in marks.STATISTICS for name in content.chosen.tensors):
        notes.append(Clause("values-not-read"))
    return notes
