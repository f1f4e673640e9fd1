"""Writing the checkpoint that has re-estimated statistics. The one that was loaded is never overwritten."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from modelight import protocol as p
from modelight.engine.errors import EngineError
from modelight.engine.experiments.reestimate import Estimate
from modelight.engine.modules.rows import Rows
from modelight.engine.observing.guard import leave_no_trace

PICKLED, SAFE = (".pt", ".pth", ".bin"), ".safetensors"


def export(
    model: nn.Module, rows: Rows, estimate: Estimate, command: p.ExportCheckpoint, original: str | None
) -> p.Exported:
    """Write the model's state dict with the statistics of ``estimate``; the model itself keeps its own.

    Args:
        original: the checkpoint that is loaded.

    Raises:
        EngineError: kind ``checkpoint``: the path is refused, or could not be written.
    """
    path = Path(command.path).expanduser().absolute()
    _refuse(path, original, command.replace)
    with leave_no_trace(model):
        for place, buffers in estimate.buffers.items():
            module = rows.modules[rows.by_path(place)]
            for name, value in buffers.items():
                held = module._buffers[name]
                assert held is not None
                with torch.no_grad():
                    held.copy_(value)
        state = model.state_dict()
        size = _write(path, state)
    tensors = sum(isinstance(value, torch.Tensor) for value in state.values())
    return p.Exported(id=command.id, path=str(path), bytes=size, tensors=tensors, layers=len(estimate.buffers))


def _refuse(path: Path, original: str | None, replace: bool) -> None:
    if path.suffix.lower() not in (*PICKLED, SAFE):
        raise _error(
            f"{path.name}: end the name in {SAFE} or {PICKLED[0]}, which says the format.", "export-suffix", path
        )
    if original is not None and _same_file(path, Path(original)):
        raise _error(f"{path.name} is the checkpoint that is loaded; choose another name.", "export-original", path)
    if path.exists() and not replace:
        raise _error(f"{path.name} is there already.", "export-exists", path)


def _same_file(path: Path, other: Path) -> bool:
    """Also through links."""
    try:
        return path.samefile(other)
    except OSError:
        return path.resolve() == other.resolve()


def _write(path: Path, state: dict[str, object]) -> int:
    """All or nothing: the file takes its place when it is whole. Returns its size in bytes."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            file = Path(folder, path.name)
            _save(state, file, safe=path.suffix.lower() == SAFE)
            file.replace(path)
    except OSError as error:
        raise _error(f"{path} could not be written: {error}", "export-failed", path, error) from error
    return path.stat().st_size


def _save(state: dict[str, object], file: Path, *, safe: bool) -> None:
    if not safe:
        torch.save(state, file)
        return
    from safetensors.torch import save_file

    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise EngineError(
            f"safetensors holds tensors alone, and {others[0]} is none: write a .pt file.",
            kind="checkpoint",
            clause=p.Clause("export-not-tensors", {"name": others[0]}),
        )
    # Clones: the format refuses tensors that share memory.
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, file)  # type: ignore[attr-defined]


def _error(message: str, id_: str, path: Path, error: OSError | None = None) -> EngineError:
    values: dict[str, p.Value] = {"file": path.name}
    if error is not None:
        values["error"] = p.plain(str(error))
    return EngineError(message, kind="checkpoint", clause=p.Clause(id_, values))
