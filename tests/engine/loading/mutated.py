"""Files of every format, mutated by a seeded generator: what the fuzz tests throw at the loader and at the window."""

from __future__ import annotations

import json
import pickle
import random
import tarfile
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn


class Trap:
    """Leaves a file behind when it is unpickled: that the file is there is the failure."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._trace), "w")


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def originals(folder: Path, trace: Path) -> dict[str, Path]:
    """One sound file or folder of each format; those that pickle hold a trap beside the weights."""
    state = net().state_dict()
    trapped = {"model": state, "epoch": 3, "evil": Trap(trace)}
    made = {"safetensors": folder / "a.safetensors", "zip": folder / "a.pt", "legacy": folder / "b.pt"}
    save_file(dict(state), made["safetensors"])
    torch.save({"model": state, "epoch": 3}, made["zip"])
    torch.save(trapped, folder / "trapped.pt")
    torch.save(trapped, made["legacy"], _use_new_zipfile_serialization=False)
    made |= {"trapped": folder / "trapped.pt", "plain": folder / "plain.pkl", "tar": folder / "old.pt"}
    made["plain"].write_bytes(pickle.dumps(trapped))
    _tar(made["tar"], trace)
    made["sharded"] = _sharded(folder / "sharded", state)
    made["distributed"] = _distributed(folder / "dcp", state)
    made["export"] = folder / "net.pt2"
    torch.export.save(torch.export.export(net().eval(), (torch.rand(1, 1, 4, 4),)), made["export"])
    return made


def _tar(path: Path, trace: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps({"evil": Trap(trace)}, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))


def _sharded(folder: Path, state: dict[str, Any]) -> Path:
    folder.mkdir()
    save_file(dict(state), folder / "model-1.safetensors")
    weight_map = dict.fromkeys(state, "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def _distributed(folder: Path, state: dict[str, Any]) -> Path:
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"model": state, "epoch": 3}, checkpoint_id=str(folder), no_dist=True)
    return folder


class Mutator:
    """Copies of the originals with a few bytes, or a part of their pickle, changed."""

    def __init__(self, made: dict[str, Path], folder: Path, seed: int) -> None:
        self._made, self._folder, self._random = made, folder, random.Random(seed)
        self._entries = {kind: self._read(path) for kind, path in made.items()}
        self._folder.mkdir()

    def next(self, number: int) -> tuple[str, Path]:
        """(kind, path) of the next mutated file or folder; the one before is overwritten."""
        kinds = list(self._made)
        kind = kinds[number % len(kinds)]
        parts = dict(self._entries[kind])
        if kind in ("zip", "trapped", "export") and self._random.random() < 0.5:
            return kind, self._repacked(parts)
        name = self._random.choice([name for name, data in parts.items() if data])
        parts[name] = self._mutated(parts[name])
        path = self._folder / kind
        path.mkdir(exist_ok=True)
        for part, data in parts.items():
            (path / part).write_bytes(data)
        return kind, path if self._made[kind].is_dir() else path / next(iter(parts))

    def _read(self, path: Path) -> dict[str, bytes]:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        return {file.name: file.read_bytes() for file in files}

    def _repacked(self, parts: dict[str, bytes]) -> Path:
        """The zip stays sound, checksums and all, so that its pickle, or a program's JSON, is what is read."""
        path = self._folder / "repacked.pt"
        (data,) = parts.values()
        with zipfile.ZipFile(BytesIO(data)) as whole, zipfile.ZipFile(path, "w") as archive:
            for entry in whole.infolist():
                content = whole.read(entry)
                read = entry.filename.endswith(("data.pkl", ".json"))
                archive.writestr(entry.filename, self._mutated(content) if read else content)
        return path

    def _mutated(self, data: bytes) -> bytes:
        whole = bytearray(data)
        for _ in range(self._random.choice((1, 1, 1, 2, 4))):
            at = self._random.randrange(len(whole) or 1)
            match self._random.randrange(9):
                case 0 | 5 | 6 | 7 | 8 if whole:
                    whole[at] ^= self._random.randint(1, 255)
                case 1:
                    del whole[at : at + self._random.randint(1, 64)]
                case 2:
                    whole[at:at] = self._random.randbytes(self._random.randint(1, 32))
                case 3:
                    whole[at:at] = whole[at : at + 32]
                case _:
                    del whole[at:]
        return bytes(whole)
