"""Which format a file has, told from its bytes, and the raw object in it. No code of a pickle is ever run unasked."""

from __future__ import annotations

import json
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading import pickles
from modelight.protocol import Clause

MAX_GROWTH = 20
"""A zip that unpacks to more than this many times its size …"""
MAX_UNPACKED = 256 * 1024 * 1024
"""… and to more than this many bytes is refused."""
MAX_INDEX = 64 * 1024 * 1024
MAX_NAMED = 12
_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError)
_NEVER_WEIGHTS_ONLY = ("Unsupported operand", "legacy .tar format")
"""How torch words its refusal of newer pickle protocols and of files from before 0.4, whatever they hold."""


@dataclass(frozen=True)
class Raw:
    """What a file holds, before any unwrapping."""

    format: str
    """``torch zip``, ``torch legacy``, ``torch tar``, ``safetensors``, ``TorchScript`` …"""
    content: Any
    metadata: dict[str, str] = field(default_factory=dict)


def refuse(message: str, clause: Clause | None = None) -> EngineError:
    """An error of kind ``checkpoint``."""
    return EngineError(message, kind="checkpoint", clause=clause)


def read_raw(path: Path, trust: bool = False) -> Raw:
    """Read a file of any known format; tensors lie on the CPU, mapped from the file where the format allows.

    Args:
        trust: allow a full unpickle, which runs code of the file's author. Only ever set when a person agreed.

    Raises:
        EngineError: kind ``checkpoint`` for a file that cannot be read, ``consent`` where only a full unpickle would.
    """
    path = _regular(path)
    if path.name.endswith(".index.json"):
        return _sharded(path, trust)
    with path.open("rb") as stream:
        head = stream.read(512)
    if head[:4] == b"PK\x03\x04":
        return _zip(path, trust)
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 2**40:
        return _safetensors(path)
    if head[257:262] == b"ustar":
        return Raw("torch tar", _torch_load(path, trust, lambda: _tar_globals(path)))
    if head[:1] == b"\x80":
        return Raw("torch legacy", _torch_load(path, trust, lambda: _legacy_globals(path)))
    raise refuse(f"{path.name} is no checkpoint: it is neither a torch file (zip or pickle) nor safetensors.")


def _regular(path: Path) -> Path:
    if path.is_dir():
        index = sorted(path.glob("*.index.json"))
        if index:
            return index[0]
        raise refuse(f"{path} is a folder: name the checkpoint file in it.")
    if not path.exists():
        raise refuse(f"There is no file {path}.")
    if not path.is_file():
        raise refuse(f"{path} is not an ordinary file.")
    if path.stat().st_size == 0:
        raise refuse(f"{path.name} is empty: the download or the save did not finish.")
    return path


def _zip(path: Path, trust: bool) -> Raw:
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
        return Raw("TorchScript", _script(path))
    if "data.pkl" not in names:
        raise refuse(f"{path.name} is a zip archive, but not one that torch.save wrote.")
    return Raw("torch zip", _torch_load(path, trust, lambda: _zip_globals(path), mmap=True))


def _script(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit itself
            return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:
        raise refuse(f"{path.name} is TorchScript, but torch cannot load it: {_first_line(error)}") from error


def _torch_load(path: Path, trust: bool, globals_of: Callable[[], list[str]], mmap: bool = False) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own internals while it reads old files
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)
    except MemoryError as error:
        raise EngineError(f"{path.name} does not fit into memory.", kind="memory") from error
    except Exception as error:
        names = _named(path, globals_of, error)
        refused = [name for name in names if not _is_known(name)]
        if not refused and any(words in str(error) for words in _NEVER_WEIGHTS_ONLY):
            refused = names
        if not refused:
            raise refuse(
                f"{path.name} is broken, was cut short, or is not a checkpoint: {_first_line(error)}"
            ) from error
        if not trust:
            raise _consent(path, refused) from error
    return _unpickle(path)


def _named(path: Path, globals_of: Callable[[], list[str]], error: Exception) -> list[str]:
    try:
        return globals_of()
    except (pickles.UnreadablePickle, OSError, KeyError, ValueError, EOFError, NotImplementedError, *_ARCHIVE):
        raise refuse(f"{path.name} is broken or was cut short: {_first_line(error)}") from error


def _is_known(name: str) -> bool:
    """Whether weights_only accepts the global: then it is not what made torch refuse the file."""
    from torch import _weights_only_unpickler as unpickler

    return name.replace("__builtin__.", "builtins.") in unpickler._get_allowed_globals()


def _consent(path: Path, refused: list[str]) -> EngineError:
    shown = ", ".join(refused[:MAX_NAMED]) + (" …" if len(refused) > MAX_NAMED else "")
    message = (
        f"{path.name} is not weights alone: reading it would run code of its author ({shown}). "
        "Save the state dict instead, or allow it if you trust where the file came from."
    )
    values: dict[str, Any] = {"file": path.name, "globals": list(refused), "count": len(refused)}
    return EngineError(message, kind="consent", clause=Clause("checkpoint-consent", values))


def _unpickle(path: Path) -> Any:
    """The full unpickle, after consent."""
    try:
        return torch.load(str(path), map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise refuse(
            f"{path.name} needs the module “{error.name}”, which is not installed here: it was saved with its code."
        ) from error
    except AttributeError as error:
        raise refuse(f"{path.name} refers to code that is not there any more: {error}.") from error
    except MemoryError as error:
        raise EngineError(f"{path.name} does not fit into memory.", kind="memory") from error
    except (Exception, SystemExit) as error:
        raise refuse(f"{path.name} could not be read: {type(error).__name__}: {_first_line(error)}") from error


def _zip_globals(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return pickles.globals_of(archive.read(name))


def _legacy_globals(path: Path) -> list[str]:
    """A legacy file is several pickles in a row: magic number, protocol, system, content, storage keys."""
    with path.open("rb") as stream:
        return pickles.globals_of_sequence(stream)


def _tar_globals(path: Path) -> list[str]:
    """Files from before torch 0.4 are tar archives of pickles."""
    names: dict[str, None] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                names.update(dict.fromkeys(pickles.globals_of_sequence(stream, whole=1)))
    return list(names)


def _safetensors(path: Path) -> Raw:
    try:
        with safetensors.safe_open(str(path), framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            return Raw("safetensors", tensors, dict(file.metadata() or {}))
    except Exception as error:
        raise refuse(f"{path.name} is broken or was cut short: {_first_line(error)}") from error


def _sharded(index: Path, trust: bool) -> Raw:
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
    return Raw(f"{formats[0]}, {len(names)} shards", tensors)


def _weight_map(index: Path) -> dict[str, str]:
    if index.stat().st_size > MAX_INDEX:
        raise refuse(f"{index.name} is too large for an index.")
    try:
        found = json.loads(index.read_text("utf-8"))["weight_map"]
        if not found or not all(isinstance(name, str) for name in found.values()):
            raise ValueError("weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refuse(f"{index.name} is not an index of shards: {_first_line(error)}") from error
    return dict(found)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
