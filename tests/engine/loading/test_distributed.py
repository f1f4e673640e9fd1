"""Folders of torch.distributed.checkpoint: read without a process group and without running code."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, distributed

RAN: list[str] = []


def run(what: str) -> str:
    """What a hostile pickle calls; that it was called is the failure."""
    RAN.append(what)
    return what


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return run, ("the pickle ran",)


def net() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As a training script of one process writes it, with its optimizer and its epoch."""
    import torch.distributed.checkpoint as dcp

    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(state, checkpoint_id=str(tmp_path / "dcp"), no_dist=True)
    torch.save(model.state_dict(), tmp_path / "same.pt")
    return tmp_path / "dcp"


def test_a_folder_is_read_and_fills_its_model(folder: Path) -> None:
    module = net()
    nn.init.zeros_(module[0].weight)  # type: ignore[arg-type]
    report = checkpoint.load_into(module, folder)
    expected = torch.load(folder.parent / "same.pt", weights_only=True)
    assert (report.format, report.wrapper, report.loaded) == ("torch distributed", "model", 7)
    assert (report.missing, report.unexpected) == ([], [])
    assert any(note.id == "checkpoint-says" and note.values["facts"] == ["epoch 7"] for note in report.notes)
    for name, value in module.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_it_can_be_inspected_with_the_sizes_of_its_files(folder: Path) -> None:
    facts = inspect.inspect(folder)
    assert (facts.key, facts.parameters, len(facts.tensors)) == ("model", 12 + 4 + 8, 7)
    assert facts.file_bytes == sum(file.stat().st_size for file in folder.iterdir())


def test_pieces_in_several_files_are_joined(folder: Path) -> None:
    """As ranks of a process group write them: rows of one tensor in two files."""
    whole = torch.arange(12.0).view(4, 3)
    for number, (start, stop) in enumerate([(0, 1), (1, 4)]):
        torch.save(whole[start:stop].clone(), folder / f"__{number}_1.distcp")

    def split(metadata: Any) -> None:
        (chunk,) = metadata.state_dict_metadata["model.0.weight"].chunks
        (index,) = [index for index in metadata.storage_data if index.fqn == "model.0.weight"]
        info = metadata.storage_data.pop(index)
        chunks = []
        for number, (start, stop) in enumerate([(0, 1), (1, 4)]):
            place, sizes = torch.Size([start, 0]), torch.Size([stop - start, 3])
            chunks.append(dataclasses.replace(chunk, offsets=place, sizes=sizes))
            file = folder / f"__{number}_1.distcp"
            metadata.storage_data[dataclasses.replace(index, offset=place)] = dataclasses.replace(
                info, relative_path=file.name, offset=0, length=file.stat().st_size
            )
        metadata.state_dict_metadata["model.0.weight"].chunks = chunks

    edit(folder, split)
    assert torch.equal(checkpoint.read(folder).tensors["0.weight"], whole)
    (folder / "__1_1.distcp").unlink()
    with pytest.raises(EngineError, match=r"is incomplete: .*__1_1\.distcp"):
        checkpoint.read(folder)


TWO_RANKS = """
import sys, warnings
import torch, torch.distributed as dist, torch.multiprocessing as mp
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

def rank(number, folder):
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    tensors = {"rows": torch.arange(15.0).view(5, 3), "columns": torch.arange(14.0).view(2, 7)}
    shards = {name: distribute_tensor(value, mesh, [Shard(i)]) for i, (name, value) in enumerate(tensors.items())}
    dcp.save({"model": shards}, checkpoint_id=f"{folder}/sharded")
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(rank, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.slow
@pytest.mark.skipif("MODELIGHT_SLOW" not in os.environ, reason="two processes take 25 s; MODELIGHT_SLOW=1 runs them")
def test_pieces_of_several_ranks_are_joined_and_a_lost_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ranks.py").write_text(TWO_RANKS)
    subprocess.run(
        [sys.executable, "ranks.py", str(tmp_path)], cwd=tmp_path, check=True, capture_output=True, timeout=120
    )
    folder = tmp_path / "sharded"
    assert len(list(folder.glob("*.distcp"))) == 2
    tensors = checkpoint.read(folder).tensors
    assert torch.equal(tensors["rows"], torch.arange(15.0).view(5, 3))
    assert torch.equal(tensors["columns"], torch.arange(14.0).view(2, 7))
    (folder / "__1_0.distcp").unlink()
    with pytest.raises(EngineError, match=r"is incomplete: .*__1_0\.distcp"):
        checkpoint.read(folder)


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    change(metadata)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def redirect(metadata: Any, **values: Any) -> None:
    """Another place for every piece."""
    for info in metadata.storage_data.values():
        for name, value in values.items():
            setattr(info, name, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: redirect(m, relative_path="../same.pt"), "is not a file of dcp"),
        (lambda m: redirect(m, relative_path="/etc/passwd"), "is not a file of dcp"),
        (lambda m: redirect(m, length=10**12), "was cut short"),
        (lambda m: redirect(m, offset=-1), "was cut short"),
        (lambda m: redirect(m, offset=1), "is broken, or is no tensor"),
        (lambda m: m.storage_data.clear(), "lacks a piece"),
        (lambda m: setattr(m, "storage_data", None), "not one that torch writes"),
        (lambda m: m.state_dict_metadata["model.0.weight"].chunks.clear(), "lacks pieces of model.0.weight"),
        (
            lambda m: setattr(m.state_dict_metadata["model.0.weight"], "size", torch.Size([10**9, 10**9])),
            "lacks pieces of model.0.weight",
        ),
    ],
)
def test_metadata_that_lies_is_told(folder: Path, change: Callable[[Any], None], words: str) -> None:
    edit(folder, change)
    with pytest.raises(EngineError, match=words) as caught:
        checkpoint.read(folder)
    assert caught.value.kind == "checkpoint"


def test_an_expanded_piece_reserves_no_memory(folder: Path) -> None:
    """A few bytes that call themselves a million million numbers."""
    torch.save(torch.ones(1).expand(10**6, 10**6), folder / "bomb.distcp")
    huge = torch.Size([10**6, 10**6])

    def lie(metadata: Any) -> None:
        entry = metadata.state_dict_metadata["model.0.weight"]
        entry.size, entry.chunks[0].sizes = huge, huge
        info = next(info for index, info in metadata.storage_data.items() if index.fqn == "model.0.weight")
        info.relative_path, info.offset = "bomb.distcp", 0
        info.length = (folder / "bomb.distcp").stat().st_size

    edit(folder, lie)
    with pytest.raises(EngineError, match="not what the metadata says"):
        checkpoint.read(folder)


@pytest.mark.parametrize("content", [Hostile(), {"x": Hostile()}, [Hostile()]])
def test_code_in_the_metadata_is_refused_and_not_run(folder: Path, content: Any) -> None:
    RAN.clear()
    (folder / ".metadata").write_bytes(pickle.dumps(content))
    with pytest.raises(EngineError, match=r"refers to .*\.run"):
        checkpoint.read(folder)
    assert RAN == []


def test_code_in_a_piece_is_not_run(folder: Path) -> None:
    RAN.clear()
    torch.save({"x": Hostile()}, folder / "evil.distcp")

    def redirect_to_it(metadata: Any) -> None:
        redirect(metadata, relative_path="evil.distcp", offset=0, length=(folder / "evil.distcp").stat().st_size)

    edit(folder, redirect_to_it)
    with pytest.raises(EngineError, match="is no tensor"):
        checkpoint.read(folder)
    assert RAN == []


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x04\x96" + b"\xff" * 8, b"\x80\x04.", b"\x80\x04}.", b"N."])
def test_metadata_that_is_none_is_told(folder: Path, data: bytes) -> None:
    (folder / ".metadata").write_bytes(data)
    with pytest.raises(EngineError, match="metadata") as caught:
        checkpoint.read(folder)
    assert caught.value.kind == "checkpoint"
    assert distributed.is_folder(folder)
