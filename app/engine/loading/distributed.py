"""Folders of ``torch.distributed.checkpoint``: read without a process group, and without running code of theirs.

A folder holds ``.metadata``, a pickle that says which tensor lies where, and ``*.distcp`` files in which every piece of
a tensor is a small file of ``torch.save`` (or of safetensors). torch itself reads ``.metadata`` with ``pickle.load``.
Here its classes are replaced by inert stand-ins, every other name is refused, and pieces are read with
``weights_only``.
"""

from __future__ import annotations

import io
import math
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading import standins
from modelight.engine.loading.standins import StandIn
from modelight.engine.loading.torchfiles import first_line, refuse

METADATA = ".metadata"
MAX_METADATA = 512 * 1024 * 1024
_MODULES = ("torch.distributed.checkpoint.", "torch.distributed._shard.")
_PLAIN = {
    "torch.Size": tuple,
    "pathlib.PosixPath": StandIn,
    "pathlib.Path": StandIn,
    "pathlib.WindowsPath": StandIn,
    "torch.serialization._get_layout": StandIn,
    "torch.device": StandIn,
    "collections.OrderedDict": dict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
}


class _Unpickler(pickle._Unpickler):  # the Python one: its memo cannot be made to fill the memory
    """Knows the classes of the metadata as stand-ins, and nothing else."""

    dispatch = {  # noqa: RUF012 - as the base declares it
        # This opcode reserves what it announces before there are bytes for it.
        code: function
        for code, function in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        dotted = f"{module}.{name}"
        if dotted in _PLAIN:
            return _PLAIN[dotted]
        if module.startswith(_MODULES):
            # A class of its own, so that a tensor's entry and an object's can be told apart.
            return type(name, (StandIn,), {})
        if module == "torch" and name.isidentifier() and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise refuse(f"The .metadata refers to {dotted}, which no torch.distributed checkpoint needs: it is refused.")


@dataclass(frozen=True)
class _Piece:
    """Bytes of one piece of a tensor: where they lie, and which block of the tensor they are."""

    file: str
    offset: int
    length: int
    origin: tuple[int, ...]
    sizes: tuple[int, ...]


def is_folder(path: Path) -> bool:
    """Whether a folder is a checkpoint of ``torch.distributed.checkpoint``."""
    return (path / METADATA).is_file() and any(path.glob("*.distcp"))


def read(folder: Path) -> dict[str, Any]:
    """What was saved, nested as it was (``{"model": {…}, "optimizer": {…}}``); tensors on the CPU, in memory.

    Objects that are more than plain values are left out.

    Raises:
        EngineError: kind ``checkpoint`` for what is broken, incomplete or refers to anything but a checkpoint's parts.
    """
    metadata = _metadata(folder / METADATA)
    try:
        return _assembled(folder, metadata)
    except EngineError:
        raise
    except OSError as error:
        raise refuse(f"{folder.name} is incomplete: {error.filename or error} cannot be read.") from error
    except Exception as error:  # anything may stand where names, places and sizes should
        raise refuse(f"The .metadata of {folder.name} is not one that torch writes: {first_line(error)}") from error


def _metadata(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_METADATA:
        raise refuse(f"{path} is too large for metadata.")
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes())).load()
    except EngineError:
        raise
    except Exception as error:  # a mangled pickle makes Python's unpickler fail in every way there is
        raise refuse(f"{path.parent.name}/{METADATA} is broken or was cut short: {first_line(error)}") from error
    if not isinstance(found, StandIn) or not isinstance(found.state, dict):
        raise refuse(f"{path.parent.name}/{METADATA} holds no metadata of torch.distributed.")
    return found.state


def _assembled(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    places = _places(metadata["storage_data"])
    planned = metadata.get("planner_data")
    content: dict[str, Any] = {}
    for key, entry in metadata["state_dict_metadata"].items():
        value = _value(folder, str(key), entry, places)
        if value is not None:
            _put(content, planned.get(key, (key,)) if isinstance(planned, dict) else (key,), value)
    return content


def _places(storage: Mapping[Any, Any]) -> dict[tuple[str, tuple[int, ...] | None], tuple[str, int, int]]:
    """(key, origin of the piece) → (file, offset, length)"""
    found = {}
    for index, info in storage.items():
        where, held = index.state, info.state
        origin = where.get("offset")
        if held.get("transform_descriptors"):
            raise refuse("The checkpoint was compressed by an extension of torch.distributed, which is not read here.")
        found[str(where["fqn"]), None if origin is None else _whole(origin)] = (
            str(held["relative_path"]),
            int(held["offset"]),
            int(held["length"]),
        )
    return found


def _value(folder: Path, key: str, entry: Any, places: Mapping[Any, tuple[str, int, int]]) -> Any:
    if type(entry).__name__ != "TensorStorageMetadata":
        place = places.get((key, None))
        return None if place is None else _object(_bytes(folder, *place))
    size = _whole(entry.state["size"])
    pieces = []
    for chunk in entry.state["chunks"]:
        origin, sizes = _whole(chunk.state["offsets"]), _whole(chunk.state["sizes"])
        if (key, origin) not in places:
            raise refuse(f"{folder.name} lacks a piece of {key}: copy the whole folder.")
        pieces.append(_Piece(*places[key, origin], origin, sizes))
    return _joined(folder, key, size, pieces)


def _joined(folder: Path, key: str, size: tuple[int, ...], pieces: list[_Piece]) -> torch.Tensor:
    """Nothing is reserved before the bytes for it were there."""
    loaded = [(piece, _tensor(_bytes(folder, piece.file, piece.offset, piece.length), key)) for piece in pieces]
    for piece, tensor in loaded:
        real = tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
        if tuple(tensor.shape) != piece.sizes or not real:
            raise refuse(f"A piece of {key} in {folder.name} is not what the metadata says.")
    if len(loaded) == 1 and loaded[0][0].sizes == size:
        return loaded[0][1]
    if sum(tensor.numel() for _, tensor in loaded) != math.prod(size) or not loaded:
        raise refuse(f"{folder.name} lacks pieces of {key}: copy the whole folder.")
    whole = torch.empty(size, dtype=loaded[0][1].dtype)
    for piece, tensor in loaded:
        place = tuple(slice(start, start + length) for start, length in zip(piece.origin, piece.sizes, strict=True))
        whole[place] = tensor
    return whole


def _bytes(folder: Path, name: str, offset: int, length: int) -> bytes:
    if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
        raise refuse(f"The metadata names “{name}”, which is not a file of {folder.name}: it is refused.")
    file = folder / name
    if offset < 0 or length < 0 or offset + length > file.stat().st_size:
        raise refuse(f"{file.name} was cut short: copy or download it again.")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def _tensor(data: bytes, key: str) -> torch.Tensor:
    found = _guarded(lambda: _plain(data))
    if isinstance(found, dict) and len(found) == 1:  # safetensors: one name for one piece
        found = next(iter(found.values()))
    if not isinstance(found, torch.Tensor):
        raise refuse(f"A piece of {key} is broken, or is no tensor.")
    return found.detach()


def _object(data: bytes) -> Any:
    """An epoch, a list of settings …; None for what is more than plain values."""
    return _guarded(lambda: _plain(data))


def _plain(data: bytes) -> Any:
    if data[:1] not in (b"P", b"\x80"):
        return safetensors.torch.load(data)
    with torch.serialization.safe_globals(standins.PAIRS):
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _guarded(load: Callable[[], Any]) -> Any:
    """None for what cannot be read as plain values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load()
    except Exception:
        return None


def _put(content: dict[str, Any], path: Any, value: Any) -> None:
    """Set a value at its place, as the planner flattened it; places in lists become names."""
    parts = [str(part) for part in path]
    for part in parts[:-1]:
        inner = content.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ValueError("two values at one place")
        content = inner
    content[parts[-1]] = value


def _whole(numbers: Any) -> tuple[int, ...]:
    # A tuple subclass in the pickle is called with one sequence.
    return tuple(int(number) for number in numbers)


def files(folder: Path) -> Iterator[Path]:
    """Every file that the checkpoint consists of."""
    yield folder / METADATA
    yield from sorted(folder.glob("*.distcp"))
