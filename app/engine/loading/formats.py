"""Which format a file has, told from its bytes, and the raw object in it. No code of a pickle is ever run unasked."""

from __future__ import annotations

import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from modelight.engine.loading import distributed, exported, folders, foreign, mapped, scripts, torchfiles
from modelight.engine.loading.exported import Program
from modelight.engine.loading.torchfiles import Trust, first_line, refuse
from modelight.protocol import Clause

MAX_GROWTH = 20
"""A zip that unpacks to more than this many times its size …"""
MAX_UNPACKED = 256 * 1024 * 1024
"""… and to more than this many bytes is refused."""
_ENCRYPTED = 1
_OF_OLD_TORCH = {"storages", "tensors", "pickle"}
"""What torch before 0.4 wrote into its tar archives."""


@dataclass(frozen=True)
class Raw:
    """What a file holds, before any unwrapping."""

    path: Path
    """The file itself: in a folder, the one that was taken."""
    format: str
    """``torch zip``, ``torch legacy``, ``torch tar``, ``safetensors``, ``TorchScript`` …"""
    content: Any
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[Clause, ...] = ()
    """What has to be said of the file as a whole."""
    programs: dict[str, Program] = field(default_factory=dict)
    """Of a file of torch.export, by the key of the state dict that belongs to each."""


def read_raw(path: Path, trust: Trust = False) -> Raw:
    """Read a file of any known format; tensors lie on the CPU, mapped from the file where the format allows.

    Args:
        trust: allow what runs code of the file's author, a full unpickle say. Only ever set when a person agreed.

    Raises:
        EngineError: kind ``checkpoint`` for a file that cannot be read, ``consent`` where that would run its code.
    """
    if path.is_dir() and distributed.is_folder(path):
        return Raw(path, "torch distributed", distributed.read(path))
    if path.is_dir():
        found = folders.chosen(path)
        if isinstance(found, list):
            return _joined(path, [_regular(file) for file in found], trust, {})
        path = found
    path = _regular(path)
    if path.name.endswith(".index.json"):
        return _sharded(path, trust)
    raw = _file(path, trust)
    part = folders.number_of(path)
    return replace(raw, notes=(Clause("one-of-shards", {"number": part[0], "of": part[1]}),)) if part else raw


def _file(path: Path, trust: Trust) -> Raw:
    """Told by its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if head[:4] == b"PK\x03\x04":
        return _zip(path, trust)
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 2**40:
        return _safetensors(path)
    if head[257:262] == b"ustar" or (head[:1] == b"\x80" and tarfile.is_tarfile(path)):  # as torch tells it
        return _tar(path, trust)
    if head[:1] == b"\x80":
        return Raw(path, "torch legacy", torchfiles.load(path, trust, torchfiles.legacy_globals))
    words = foreign.told(head)
    if words:
        raise refuse(f"{path.name} {words}.")
    raise refuse(f"{path.name} is no checkpoint: it is neither a torch file (zip or pickle) nor safetensors.")


def _regular(path: Path) -> Path:
    if path.is_symlink() and not path.exists():
        raise refuse(f"{path} is a link to {_target(path)}, and there is no file.")
    if not path.exists():
        raise refuse(f"There is no file {path}.")
    if not path.is_file():
        raise refuse(f"{path} is not an ordinary file.")
    if path.stat().st_size == 0:
        raise refuse(f"{path.name} is empty: the download or the save did not finish.")
    return path


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return "nowhere"


def _zip(path: Path, trust: Trust) -> Raw:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename.partition("/")[2] or entry.filename for entry in entries}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise refuse(f"{path.name} is broken or was cut short: {error}. Copy or download it again.") from error
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED and unpacked > MAX_GROWTH * path.stat().st_size:
        raise refuse(f"{path.name} would unpack to {unpacked} bytes from {path.stat().st_size}: it is refused.")
    if "constants.pkl" in names:
        return Raw(path, "TorchScript", scripts.load(path, trust))
    # Zipped anew by a person or a tool, entries may be compressed: torch would map those bytes as if they were numbers.
    stored = all(entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & _ENCRYPTED for entry in entries)
    if any(name in exported.MARKS for name in names):
        export = exported.read(path, stored)
        return Raw(path, exported.FORMAT, export.content, programs=export.programs)
    if "data.pkl" not in names:
        words = foreign.archive(entry.filename for entry in entries)
        raise refuse(f"{path.name} is a zip archive, but not one that torch.save wrote: {words}.")
    return Raw(path, "torch zip", torchfiles.load(path, trust, torchfiles.zip_globals, mmap=stored))


def _safetensors(path: Path) -> Raw:
    try:
        tensors, metadata = mapped.read_safetensors(path)
    except OSError:
        raise
    except Exception as error:
        raise refuse(f"{path.name} is broken or was cut short: {first_line(error)}") from error
    return Raw(path, "safetensors", tensors, metadata)


def _tar(path: Path, trust: Trust) -> Raw:
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    except Exception as error:  # a mangled header makes tarfile fail in many ways
        raise refuse(f"{path.name} is broken or was cut short: {first_line(error)}") from error
    if not {name.removeprefix("./") for name in names} >= _OF_OLD_TORCH:
        raise refuse(f"{path.name} is a tar archive, but not one that torch.save wrote: {foreign.archive(names)}.")
    return Raw(path, "torch tar", torchfiles.load(path, trust, torchfiles.tar_globals))


def _sharded(path: Path, trust: Trust) -> Raw:
    """``*.index.json`` of Hugging Face: ``weight_map`` names the file in the same folder that holds each tensor."""
    index = folders.index(path)
    raw = _joined(path, [path.parent / name for name in index.shards], trust, index.weight_map)
    absent = [name for name in index.weight_map if name not in raw.content]
    notes = (Clause("index-names-absent", {"count": len(absent), "first": absent[0]}),) if absent else ()
    return replace(raw, metadata=index.metadata | raw.metadata, notes=notes)


def _joined(path: Path, files: Sequence[Path], trust: Trust, places: Mapping[str, str]) -> Raw:
    """Shards as one state dict; where several hold a tensor, the one that ``places`` names has it.

    What wraps the state dict of each wraps the whole.
    """
    tensors: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    shards = [read_raw(file, trust) for file in files]
    for file, shard in zip(files, shards, strict=True):
        if not isinstance(shard.content, dict):
            raise refuse(f"The shard {file.name} holds no state dict.")
        held = {name: item for name, item in shard.content.items() if places.get(name, file.name) == file.name}
        _merge(tensors, held, file)
        metadata |= shard.metadata
    return Raw(path, f"{shards[0].format}, {len(files)} shards", tensors, metadata)


def _merge(whole: dict[Any, Any], shard: Mapping[Any, Any], file: Path) -> None:
    for name, item in shard.items():
        known = whole.get(name)
        if isinstance(known, dict) and isinstance(item, Mapping):
            _merge(known, item, file)
            continue
        if isinstance(known, torch.Tensor) and isinstance(item, torch.Tensor) and not _same(known, item):
            raise refuse(
                f"{file.name} and another shard hold {name} with different values, as the parts of a model that was "
                "split over several devices do: together they are no checkpoint. Name one of them."
            )
        whole[name] = item


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    try:
        return bool(((one == other) | ((one != one) & (other != other))).all())
    except RuntimeError:  # of some types torch compares nothing
        return False
