"""Files whose values stay on the disk: a map of the whole file, and tensors that lie in it, told from headers alone.

torch and safetensors map a file in a way for which the kernel sets memory aside as if every page were to be written: a
file larger than the memory is refused. safetensors also touches every tensor while it makes it, which on a cold disk
took 75 s for the 2 000 tensors of a file of 20 GB. The map here is private all the same: what writes into such a tensor
changes a copy of the page, never the file.
"""

from __future__ import annotations

import json
import mmap
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import torch

MAX_HEADER = 100 * 1000 * 1000
"""As the format says."""
_MAP_NORESERVE = 0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") else 0
"""Python has no name for it before 3.13."""
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
"""Those whose elements are whole bytes of their own; what else there is, safetensors itself reads."""


class Broken(Exception):
    """A file of safetensors that is not what its header says."""


@dataclass(frozen=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def map_of(file: BinaryIO) -> mmap.mmap:
    """A private map of a file that is not empty; nothing of it is read yet."""
    if sys.platform == "win32":
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | _MAP_NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def storage(path: Path) -> torch.UntypedStorage:
    """The bytes of a whole file that is not empty."""
    with path.open("rb") as file:
        return torch.frombuffer(map_of(file), dtype=torch.uint8).untyped_storage()


@contextmanager
def torch_maps_so() -> Iterator[None]:
    """Let ``torch.load(…, mmap=True)`` take such a map, too."""
    real, own = torch.UntypedStorage.from_file, vars(torch.UntypedStorage).get("from_file")

    def from_file(name: str, shared: bool = False, size: int = 0) -> Any:
        return real(name, shared, size) if shared else storage(Path(name))

    torch.UntypedStorage.from_file = from_file  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        if own is None:
            del torch.UntypedStorage.from_file  # the inherited one shows again
        else:
            torch.UntypedStorage.from_file = own  # type: ignore[method-assign]


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors by name, in the order of names; metadata) of a file of safetensors.

    Raises:
        Broken: with what is wrong.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        header, begin = _header(file, size)
        entries = {name: _entry(name, one) for name, one in sorted(header.items()) if name != "__metadata__"}
        _check_places(entries, size - begin)
        whole = map_of(file)
    tensors = {name: _tensor(path, name, entry, whole, begin) for name, entry in entries.items()}
    return tensors, _metadata(header.get("__metadata__") or {})


def _header(file: BinaryIO, size: int) -> tuple[Mapping[str, Any], int]:
    """(the header, where the values begin)"""
    prefix = file.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
    if length > min(MAX_HEADER, size - 8):
        raise Broken("its header is longer than the file, or than any header may be")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Broken(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise Broken("its header is no list of tensors")
    return header, 8 + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Broken("its header names something twice")
    return found


def _metadata(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise Broken("its metadata are no texts")
    return dict(found)


def _entry(name: str, found: Any) -> _Entry:
    try:
        shape, (start, end) = tuple(found["shape"]), found["data_offsets"]
        entry = _Entry(str(found["dtype"]), shape, start, end)
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"{name} has no dtype, shape or place") from error
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise Broken(f"{name} has a shape or a place that is none")
    dtype = _DTYPES.get(entry.dtype)
    if dtype is not None and _count(entry) * dtype.itemsize != end - start:
        raise Broken(f"{name} has a shape for {_count(entry) * dtype.itemsize} bytes and a place for {end - start}")
    return entry


def _count(entry: _Entry) -> int:
    count = 1
    for number in entry.shape:
        count *= number
    return count


def _check_places(entries: Mapping[str, _Entry], there: int) -> None:
    """Tensors follow one another without a gap, from the first byte of values to the last of the file."""
    reached = 0
    for entry in sorted(entries.values(), key=lambda one: (one.start, one.end)):
        if entry.start != reached:
            raise Broken("its tensors overlap, or leave gaps")
        reached = entry.end
    if reached != there:
        raise Broken(f"its tensors take {reached} bytes, the file holds {there}")


def _tensor(path: Path, name: str, entry: _Entry, whole: mmap.mmap, begin: int) -> torch.Tensor:
    dtype = _DTYPES.get(entry.dtype)
    if dtype is None:
        with safetensors.safe_open(str(path), framework="pt", device="cpu") as file:
            return file.get_tensor(name)  # type: ignore[no-any-return]
    if entry.start == entry.end:
        return torch.empty(entry.shape, dtype=dtype)
    line = torch.frombuffer(whole, dtype=dtype, count=_count(entry), offset=begin + entry.start)
    return line.view(entry.shape)
