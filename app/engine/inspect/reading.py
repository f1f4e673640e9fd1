"""Open a checkpoint for looking: which state dicts it holds, what its format knows beyond them, which file it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import baked, distributed, folders, formats, unwrap
from modelight.engine.loading.baked import Baked
from modelight.engine.loading.exported import Program
from modelight.engine.loading.torchfiles import Trust, refuse
from modelight.protocol import Clause


@dataclass(frozen=True)
class Known:
    """What a format says of the modules; a state dict says nothing of it."""

    types: dict[str, str] = field(default_factory=dict)
    """Class name per module path."""
    flags: dict[str, bool] = field(default_factory=dict)
    """Training flag per module path."""
    parameters: frozenset[str] | None = None
    """Keys of the parameters; None: not known."""
    is_script: bool = False
    modes: dict[str, Baked] | None = None
    """Operators whose mode is baked in, per module path; None where the format is no program."""
    flags_are_idle: bool = False
    """Nothing in the program looks at its flags."""


@dataclass(frozen=True)
class Content:
    """A checkpoint that is open: its tensors lie in the file where the format can be mapped."""

    path: str
    format: str
    file_bytes: int
    stamp: str
    chosen: unwrap.Candidate
    candidates: list[unwrap.Candidate]
    raw: Any
    metadata: dict[str, str]
    known: Known
    notes: tuple[Clause, ...] = ()
    programs: Mapping[str, Program] = field(default_factory=dict)


def open_checkpoint(path: str | Path, *, key: str = "", trust: Trust = False) -> Content:
    """Read headers and structure; values stay on the disk for safetensors and for zip files of torch.

    Args:
        key: which state dict to take where the file holds several; empty: the likeliest.
        trust: allow a full unpickle, after a person agreed to run the author's code.

    Raises:
        EngineError: kind ``checkpoint``, ``consent`` or ``memory``, as ``loading.formats.read_raw``; also kind
            ``checkpoint`` where no state dict is in the file or none under ``key``.
    """
    file = Path(path).expanduser()
    try:
        raw = formats.read_raw(file, trust)
        files = _files(raw.path)
    except OSError as error:
        raise refuse(f"{file} cannot be read: {error.strerror or error}.") from error
    found = _candidates(raw.content)
    if not found:
        raise refuse(f"{file.name} can be read, but holds no state dict: {unwrap.described(raw.content)}.")
    chosen = _choose(found, key, file.name)
    return Content(
        path=str(raw.path),
        format=raw.format,
        file_bytes=sum(size for size, _ in files),
        stamp=_stamp(files),
        chosen=chosen,
        candidates=found,
        raw=raw.content,
        metadata=raw.metadata,
        known=_known(raw.content, chosen.key, raw.programs),
        notes=raw.notes,
        programs=raw.programs,
    )


def take(content: Content, key: str) -> Content:
    """The same file with another of its state dicts chosen.

    Raises:
        EngineError: kind ``checkpoint`` where the file holds none under ``key``.
    """
    chosen = _choose(content.candidates, key, Path(content.path).name)
    return replace(content, chosen=chosen, known=_known(content.raw, chosen.key, content.programs))


def take_if_there(content: Content, key: str) -> Content:
    """The same with the state dict under ``key`` chosen, where the file holds that one."""
    return take(content, key) if any(one.key == key for one in content.candidates) else content


def stamp_of(path: str | Path) -> str:
    """The stamp of an open checkpoint's file (:attr:`Content.path`) as it is now; empty where it is gone."""
    try:
        return _stamp(_files(Path(path)))
    except (OSError, EngineError):  # gone, or an index that is being rewritten
        return ""


def _stamp(files: list[tuple[int, int]]) -> str:
    return "-".join(f"{size}.{time}" for size, time in files)


def _files(path: Path) -> list[tuple[int, int]]:
    """(bytes, time of change) of every file that the checkpoint consists of."""
    if path.is_dir():
        parts = [*distributed.files(path)] if distributed.is_folder(path) else folders.numbered(path)
    else:
        parts = [path, *_shards(path)] if path.name.endswith(".index.json") else [path]
    states = [part.stat() for part in parts]
    return [(state.st_size, state.st_mtime_ns) for state in states]


def _shards(index: Path) -> list[Path]:
    """The shards of an index that was read."""
    return [index.parent / name for name in folders.index(index).shards]


def _candidates(content: Any) -> list[unwrap.Candidate]:
    if isinstance(content, torch.jit.ScriptModule):
        # A frozen script has no tensors left, and is still worth looking at.
        return [unwrap.Candidate("", dict(content.state_dict()))]
    return unwrap.candidates(content)


def _choose(found: list[unwrap.Candidate], key: str, file: str) -> unwrap.Candidate:
    if not key:
        return found[0]
    for candidate in found:
        if candidate.key == key:
            return candidate
    names = ", ".join(candidate.key or "the file itself" for candidate in found)
    raise refuse(f"{file} holds no state dict under “{key}”; it holds: {names}.")


def _known(raw: Any, key: str, programs: Mapping[str, Program]) -> Known:
    if key in programs:
        program = programs[key]
        return Known(types=program.types, parameters=program.parameters, modes=program.modes)
    content = unwrap.at(raw, key)
    if not isinstance(content, nn.Module):
        return Known()
    script = content if isinstance(content, torch.jit.ScriptModule) else None
    # A module that is registered twice has a row, and a flag, at each of its paths.
    modules = dict(content.named_modules(remove_duplicate=False))
    flags = {path: getattr(module, "training", None) for path, module in modules.items()}
    return Known(
        types={path: _type_name(module) for path, module in modules.items()},
        flags={path: flag for path, flag in flags.items() if isinstance(flag, bool)},
        parameters=frozenset(name for name, _ in content.named_parameters(remove_duplicate=False)),
        is_script=script is not None,
        modes=baked.of_script(script) if script is not None else None,
        flags_are_idle=script is not None and not baked.reads_training(script),
    )


def _type_name(module: nn.Module) -> str:
    original = getattr(module, "original_name", None) if isinstance(module, torch.jit.ScriptModule) else None
    return str(original or type(module).__name__)
