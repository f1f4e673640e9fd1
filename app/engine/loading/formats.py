"""Which format a file has, told from its bytes, and the raw object in it. No code of a pickle is ever run unasked."""

from __future__ import annotations

import json
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelight.engine.loading import distributed, exported, mapped, scripts, torchfiles
from modelight.engine.loading.exported import Program
from modelight.engine.loading.torchfiles import Trust, first_line, refuse
from modelight.protocol import Clause

MAX_GROWTH = 20
"""A zip that unpacks to more than this many times its size …"""
MAX_UNPACKED = 256 * 1024 * 1024
"""… and to more than this many bytes is refused."""
MAX_INDEX = 64 * 1024 * 1024
_ENCRYPTED = 1
_WEIGHTS_IN_FOLDERS = (
    "*.safetensors.index.json",
    "*.bin.index.json",
    "model.safetensors",
    "pytorch_model.bin",
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
)
"""In which order a folder's files are tried: safetensors first, whole indices before single files."""
_FOREIGN = (
    (b"GGUF", "is a GGUF file, made for llama.cpp: transformers can convert it to a torch checkpoint"),
    (b"\x89HDF", "is an HDF5 file, as Keras writes them: it holds no torch checkpoint"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (b"7z\xbc\xaf", "is a 7-Zip archive: unpack it first"),
    (b"version https://git-lfs", "is only a pointer of Git LFS: run git lfs pull to fetch the file itself"),
    (b"<!DOCTYPE", "is a web page, not a checkpoint: the download went to a page instead of the file"),
    (b"<html", "is a web page, not a checkpoint: the download went to a page instead of the file"),
    (b"\x93NUMPY", "is an array of numpy, not a checkpoint: it can be opened as an input"),
)
"""First bytes of files that people take for checkpoints, and what to say of them."""


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
    path = _regular(path)
    if path.name.endswith(".index.json"):
        return _sharded(path, trust)
    with path.open("rb") as stream:
        head = stream.read(512)
    if head[:4] == b"PK\x03\x04":
        return _zip(path, trust)
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 2**40:
        return _safetensors(path)
    if head[257:262] == b"ustar" or (head[:1] == b"\x80" and tarfile.is_tarfile(path)):  # as torch tells it
        return Raw(path, "torch tar", torchfiles.load(path, trust, torchfiles.tar_globals))
    if head[:1] == b"\x80":
        return Raw(path, "torch legacy", torchfiles.load(path, trust, torchfiles.legacy_globals))
    for start, words in _FOREIGN:
        if head.startswith(start):
            raise refuse(f"{path.name} {words}.")
    raise refuse(f"{path.name} is no checkpoint: it is neither a torch file (zip or pickle) nor safetensors.")


def _regular(path: Path) -> Path:
    if path.is_dir():
        path = _in_folder(path)
    if not path.exists():
        raise refuse(f"There is no file {path}.")
    if not path.is_file():
        raise refuse(f"{path} is not an ordinary file.")
    if path.stat().st_size == 0:
        raise refuse(f"{path.name} is empty: the download or the save did not finish.")
    return path


def _in_folder(folder: Path) -> Path:
    for pattern in _WEIGHTS_IN_FOLDERS:
        found = sorted(folder.glob(pattern))
        if len(found) > 1 and not pattern.endswith(".json"):
            names = ", ".join(file.name for file in found[:8])
            raise refuse(f"{folder} is a folder with several checkpoints: name one of {names}.")
        if found:
            return found[0]
    raise refuse(f"{folder} is a folder without a checkpoint in it: name the file.")


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
        raise refuse(f"{path.name} is a zip archive, but not one that torch.save wrote.")
    return Raw(path, "torch zip", torchfiles.load(path, trust, torchfiles.zip_globals, mmap=stored))


def _safetensors(path: Path) -> Raw:
    try:
        tensors, metadata = mapped.read_safetensors(path)
    except OSError:
        raise
    except Exception as error:
        raise refuse(f"{path.name} is broken or was cut short: {first_line(error)}") from error
    return Raw(path, "safetensors", tensors, metadata)


def _sharded(index: Path, trust: Trust) -> Raw:
    """``*.index.json`` of Hugging Face: ``weight_map`` names the file in the same folder that holds each tensor."""
    names = sorted(set(_weight_map(index).values()))
    tensors: dict[str, Any] = {}
    formats = []
    for name in names:
        if Path(name).name != name or "\\" in name or name in ("", "..") or name.endswith(".json"):
            raise refuse(f"{index.name} names “{name}”, which is not a file beside it: it is refused.")
        if not (index.parent / name).is_file():
            raise refuse(f"{index.name} names the shard {name}, which is missing: copy it beside the index.")
        shard = read_raw(index.parent / name, trust)
        if not isinstance(shard.content, dict):
            raise refuse(f"The shard {name} holds no state dict.")
        tensors.update(shard.content)
        formats.append(shard.format)
    return Raw(index, f"{formats[0]}, {len(names)} shards", tensors)


def _weight_map(index: Path) -> dict[str, str]:
    if index.stat().st_size > MAX_INDEX:
        raise refuse(f"{index.name} is too large for an index.")
    try:
        found = json.loads(index.read_text("utf-8"))["weight_map"]
        if not found or not all(isinstance(name, str) for name in found.values()):
            raise ValueError("weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refuse(f"{index.name} is not an index of shards: {first_line(error)}") from error
    return dict(found)
