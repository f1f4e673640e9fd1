"""Inputs from tensor files: ``.pt``, ``.npy``, ``.npz`` and ``.safetensors``, never pickled objects."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading.paths import located
from modelight.engine.loading.pieces import Piece, piece_of, refuse, select
from modelight.protocol import Clause, FromFile

MAX_UNPACKED = 8 * 1024**3
LABELS = ("labels", "label", "y", "target", "targets")


def read(source: FromFile, directory: str, parameters: Sequence[str]) -> Piece:
    """The samples of a file.

    A file of several tensors: ``key`` names the one to take; else one named like labels gives the labels, those named
    like arguments of forward (``parameters``) are keyword arguments, and a single one left is the positional argument,
    unless it has the name of an argument other than the first.

    Raises:
        EngineError: kind ``input``.
    """
    path = located(source.path, directory)
    try:
        is_file = path.is_file()
    except OSError as error:
        raise refuse(f"{path} cannot be read: {error.strerror or error}.") from error
    if not is_file:
        raise refuse(f"There is no file {path}.")
    content = _content(path)
    labels: tuple[int | None, ...] = ()
    notes: list[Clause] = []
    if isinstance(content, Mapping):
        labels, notes = _labels(content, source.key)
        content = _argument(content, source.key, parameters, path.name)
    elif source.key:
        raise refuse(f"{path.name} holds one tensor without a name, so it has no “{source.key}”.")
    # A list of tensors (images of several sizes, say) is one argument.
    listed = isinstance(content, list) and all(isinstance(item, torch.Tensor) for item in content)
    if not listed and not isinstance(content, (torch.Tensor, np.ndarray, Mapping, tuple)):
        raise refuse(f"{path.name} holds a {type(content).__name__}, not tensors.")
    piece = replace(piece_of(content, labels, path.name), notes=tuple(notes))
    captions = tuple(f"{path.stem} {caption}" for caption in piece.captions) if piece.samples > 1 else (path.stem,)
    return select(replace(piece, captions=captions), source.samples, path.name)


def _content(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in (".pt", ".pth", ".npy", ".npz", ".safetensors"):
        raise refuse(f"{path.name} is no tensor file: .pt, .npy, .npz and .safetensors are read.")
    try:
        if suffix == ".safetensors":
            with safetensors.safe_open(str(path), framework="pt", device="cpu") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        if suffix in (".pt", ".pth"):
            return torch.load(str(path), map_location="cpu", weights_only=True)
        return _numpy(path)
    except EngineError:
        raise
    except MemoryError as error:
        raise refuse(f"{path.name} does not fit into memory.") from error
    except pickle.UnpicklingError as error:
        raise refuse(
            f"{path.name} holds more than tensors, and pickled objects are never read as input: save the tensors alone."
        ) from error
    except Exception as error:
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise refuse(f"{path.name} cannot be read: {words}") from error


def _numpy(path: Path) -> Any:
    # Opened here: np.load leaves a file that turns out broken open.
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npy":
            return _native(np.lib.format.read_array(stream, allow_pickle=False), path.name)
        with zipfile.ZipFile(stream) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise refuse(f"{path.name} unpacks to more than {MAX_UNPACKED >> 30} GiB: it is refused.")
            arrays = {}
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    name = entry.filename.removesuffix(".npy")
                    arrays[name] = _native(np.lib.format.read_array(member, allow_pickle=False), name)
            return arrays


def _native(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """The array in this machine's byte order: torch takes no other."""
    if array.dtype.kind not in "biufc":
        raise refuse(f"{name} holds {array.dtype}, not numbers.")
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(array.shape)


def _argument(content: Mapping[Any, Any], key: str, parameters: Sequence[str], file: str) -> Any:
    """The one argument, or the keyword arguments."""
    tensors = {str(name): value for name, value in content.items()}
    if key:
        if key not in tensors:
            raise refuse(f"{file} has no “{key}”; it has {', '.join(tensors) or 'nothing'}.")
        return tensors[key]
    rest = {name: value for name, value in tensors.items() if name not in _label_names(tensors)}
    keywords = {name: value for name, value in rest.items() if name in parameters}
    # One tensor alone is positional, also under the first argument's name, so that it joins with positional ones.
    if len(rest) == 1 and not set(keywords) & set(parameters[1:]):
        return next(iter(rest.values()))
    if keywords:
        return keywords
    raise refuse(f"{file} holds several tensors ({', '.join(rest) or 'none'}): name the one to take.")


def _label_names(tensors: Mapping[Any, Any]) -> list[str]:
    """Names that mean labels; in a file that holds nothing else they are the input."""
    names = [str(name) for name in tensors if str(name).lower() in LABELS]
    return names if len(names) < len(tensors) else []


def _labels(content: Mapping[Any, Any], taken: str) -> tuple[tuple[int | None, ...], list[Clause]]:
    """The class index of each sample; what is named like labels but is none is told."""
    notes = []
    for name in _label_names(content):
        if name == taken:
            continue
        values = torch.as_tensor(content[name])
        if values.dim() == 1 and not values.is_floating_point() and not values.is_complex():
            return tuple(int(value) for value in values), []
        shape = " × ".join(str(size) for size in values.shape) or "()"
        dtype = str(values.dtype).removeprefix("torch.")
        notes.append(Clause("labels-not-classes", {"name": name, "shape": shape, "dtype": dtype}))
    return (), notes
