"""Programs of ``torch.export``: weights, classes and baked modes, read from JSON and raw bytes; nothing of them is run.

An archive holds ``models/NAME.json`` (the graph, whose nodes name the module they came from) and ``data/weights/``, a
file of raw bytes for each tensor beside a list of dtypes, shapes and strides. Before torch 2.8 it held
``serialized_exported_program.json`` and ``serialized_state_dict.pt``. Nothing else in it is looked at.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading import baked, mapped, standins
from modelight.engine.loading.baked import Baked
from modelight.engine.loading.torchfiles import first_line, refuse
from modelight.protocol import Clause

FORMAT = "torch.export"
MARKS = ("archive_format", "serialized_exported_program.json")
MAX_PROGRAM = 512 * 1024 * 1024
_OLD_PROGRAM, _OLD_STATE = "serialized_exported_program.json", "serialized_state_dict.pt"
_MODELS, _WEIGHTS = "models/", "data/weights/"
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128,
    12: torch.bool, 13: torch.bfloat16, 28: torch.uint16, 29: torch.float8_e4m3fn, 30: torch.float8_e5m2,
    31: torch.float8_e4m3fnuz, 32: torch.float8_e5m2fnuz, 34: torch.uint32, 35: torch.uint64,
}  # fmt: skip
"""Numbers of the serialised schema."""
_STRIDED = 7
State = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """What a program says beyond its weights."""

    types: dict[str, str] = field(default_factory=dict)
    """Class name per module path, of those whose operators are in the graph."""
    parameters: frozenset[str] = frozenset()
    modes: dict[str, Baked] = field(default_factory=dict)

    def note(self) -> Clause:
        """``modes-baked`` {train, eval}, or ``modes-none`` where no operator has a mode."""
        counts = baked.total(self.modes)
        if counts == Baked():
            return Clause("modes-none")
        return Clause("modes-baked", {"train": counts.train, "eval": counts.eval})


@dataclass(frozen=True)
class Export:
    """The state dict of the one program in a file, or a dict of them by name; programs under the same names."""

    content: State
    programs: dict[str, Program]


def read(path: Path, stored: bool) -> Export:
    """Read every program in the archive; tensors are mapped if the zip's entries are ``stored`` uncompressed.

    Raises:
        EngineError: kind ``checkpoint`` for an archive that is broken or holds no program.
    """
    try:
        archive = _Archive(path, stored)
        found = {name: _program(archive, name, entry) for name, entry in archive.programs().items()}
    except EngineError:
        raise
    except Exception as error:  # anything may stand where names, places and sizes should
        raise refuse(f"{path.name} is not a program as torch.export writes it: {first_line(error)}") from error
    if not found:
        raise refuse(
            f"{path.name} holds compiled code of AOTInductor and no program of torch.export: it can only be run, and "
            "shows nothing. Open the model that it was compiled from."
        )
    if len(found) == 1:
        state, program = next(iter(found.values()))
        return Export(state, {"": program})
    return Export(
        {name: state for name, (state, _) in found.items()}, {name: program for name, (_, program) in found.items()}
    )


class _Archive:
    """The records of a zip, through torch's own reader."""

    def __init__(self, path: Path, stored: bool) -> None:
        self._reader: Any = torch._C.PyTorchFileReader(str(path))
        self.records = frozenset(self._reader.get_all_records())
        self._mapped = mapped.storage(path) if stored else None

    def programs(self) -> dict[str, str]:
        """Name of each program → its record."""
        if _OLD_PROGRAM in self.records:
            return {"": _OLD_PROGRAM}
        return {
            name[len(_MODELS) : -len(".json")]: name
            for name in sorted(self.records)
            if name.startswith(_MODELS) and name.endswith(".json")
        }

    def json(self, name: str) -> Any:
        data = self._reader.get_record(name)
        if len(data) > MAX_PROGRAM:
            raise ValueError(f"{name} is too large")
        return json.loads(data)

    def plain(self, name: str) -> Any:
        """What torch.save wrote into a record: weights alone."""
        with torch.serialization.safe_globals(standins.PAIRS):
            return torch.load(io.BytesIO(self._reader.get_record(name)), map_location="cpu", weights_only=True)

    def bytes(self, name: str) -> torch.Tensor:
        """A record as uint8, on the disk if it can stay there."""
        if self._mapped is None:
            data = bytearray(self._reader.get_record(name))
            return torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
        start, length = self._reader.get_record_offset(name), self._reader.get_record_size(name)
        return torch.empty(0, dtype=torch.uint8).set_(self._mapped, start, (length,))  # type: ignore[call-overload,no-any-return]


def _program(archive: _Archive, name: str, record: str) -> tuple[State, Program]:
    module = archive.json(record)["graph_module"]
    nodes = list(_nodes(module["graph"]))
    types = {path: class_ for node in nodes for path, class_ in _stack(node)}
    modes = baked.of(_operators(nodes))
    if record == _OLD_PROGRAM:
        specs = (spec.get("parameter") for spec in module["signature"]["input_specs"])
        parameters = frozenset(str(spec["parameter_name"]) for spec in specs if spec)
        return dict(archive.plain(_OLD_STATE)), Program(types, parameters, modes)
    config = archive.json(f"{_WEIGHTS}{name}_weights_config.json")["config"]
    parameters = frozenset(key for key, entry in config.items() if entry["is_param"])
    return {key: _tensor(archive, key, entry) for key, entry in config.items()}, Program(types, parameters, modes)


def _tensor(archive: _Archive, key: str, entry: Mapping[str, Any]) -> Any:
    record = f"{_WEIGHTS}{entry['path_name']}"
    if entry["use_pickle"]:
        return archive.plain(record)
    meta = entry["tensor_meta"]
    if meta["layout"] != _STRIDED:
        raise ValueError(f"{key} is sparse")
    data, dtype = archive.bytes(record), _DTYPES[meta["dtype"]]
    sizes, strides = _whole(meta["sizes"]), _whole(meta["strides"])
    start = int(meta["storage_offset"]["as_int"])
    if not all(sizes):
        return torch.empty(sizes, dtype=dtype)
    last = start + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if min((start, *sizes, *strides)) < 0 or (last + 1) * dtype.itemsize > data.numel():
        raise ValueError(f"{key} reaches beyond its bytes")
    values = data[: data.numel() // dtype.itemsize * dtype.itemsize]
    if values.storage_offset() % dtype.itemsize:
        values = values.clone()
    line = values.view(dtype)
    return line.as_strided(sizes, strides, line.storage_offset() + start)


def _whole(numbers: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    return tuple(int(number["as_int"]) for number in numbers)


def _nodes(graph: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every node, those of the graphs that a branch or a region holds too."""
    waiting = [graph]
    while waiting:
        for node in waiting.pop()["nodes"]:
            yield node
            held = (given["arg"].get("as_graph") for given in node["inputs"])
            waiting += [inner["graph"] for inner in held if inner is not None]


def _stack(node: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(path, class name) of the modules that a node was called in, outermost first."""
    text = (node.get("metadata") or {}).get("nn_module_stack") or ""
    parts = (entry.split(",") for entry in text.split(";"))
    return [(part[1], part[2].rpartition(".")[2]) for part in parts if len(part) == 3]


def _operators(nodes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for node in nodes:
        namespace, _, rest = node["target"].removeprefix("torch.ops.").partition(".")
        if namespace == "aten":
            inner = _stack(node)
            given = {one["name"]: _constant(one["arg"]) for one in node["inputs"]}
            yield inner[-1][0] if inner else "", rest.partition(".")[0], given


def _constant(argument: Mapping[str, Any]) -> Any:
    for kind in ("as_bool", "as_float", "as_int"):
        if argument.get(kind) is not None:
            return argument[kind]
    return None if argument.get("as_none") is not None else object()
