"""Values stay on the disk: no page of them is read for the tree, however large the file and small the memory."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch._subclasses.fake_tensor import FakeTensorMode

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, mapped
from modelight.protocol import Clause

SIDE = 1024
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs the counters of Linux")


def sparse_safetensors(path: Path, tensors: int, rows: int = SIDE) -> Path:
    """A file that is a hole but for its header."""
    each = rows * SIDE * 4
    header = {
        f"{i}.weight": {"dtype": "F32", "shape": [rows, SIDE], "data_offsets": [i * each, (i + 1) * each]}
        for i in range(tensors)
    }
    written(path, header, b"")
    os.truncate(path, path.stat().st_size + tensors * each)
    return path


def sparse_zip(path: Path, tensors: int, rows: int) -> Path:
    with FakeTensorMode(), torch.serialization.skip_data(materialize_fake_tensors=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({f"{i}.weight": torch.empty(rows, SIDE) for i in range(tensors)}, path)
    return path


def written(path: Path, header: Any, values: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path


def memory() -> int:
    """Bytes of memory and swap that this machine has."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    fields = {line[0]: int(line[1]) * 1024 for line in lines}
    return fields["MemTotal:"] + fields["SwapTotal:"]


@LINUX
def test_making_the_tensors_of_a_cold_file_waits_for_no_page_of_theirs(tmp_path: Path) -> None:
    path = sparse_safetensors(tmp_path / "a.safetensors", 400)
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    assert len(inspect.inspect(path).tensors) == 400
    assert resource.getrusage(resource.RUSAGE_SELF).ru_majflt - before < 40


@LINUX
@pytest.mark.parametrize("make", [sparse_safetensors, sparse_zip])
def test_a_file_larger_than_the_memory_shows_its_tree(tmp_path: Path, make: Any) -> None:
    rows = memory() // (4 * SIDE * 4) + 262_144  # four tensors, and 4 GiB more than there is
    try:
        path = make(tmp_path / "a", 4, rows)
    except OSError:
        pytest.skip("this disk takes no file of that size")
    if path.stat().st_blocks * 512 > 1 << 26:
        pytest.skip("this disk keeps no holes")
    assert path.stat().st_size > memory()
    facts = inspect.inspect(path)
    assert facts.tensor_bytes == 4 * rows * SIDE * 4
    assert float(checkpoint.read(path).tensors["3.weight"][-1, -1]) == 0


@pytest.mark.filterwarnings("ignore:.*uint:UserWarning")
def test_every_dtype_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    values = {str(dtype): torch.rand(3, 5).mul(100).to(dtype) for dtype in mapped._DTYPES.values()}
    values |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "e8m0": torch.ones(4).to(torch.float8_e8m0fnu)}
    path = tmp_path / "a.safetensors"
    save_file(values, path, metadata={"format": "pt"})
    read, metadata = mapped.read_safetensors(path)
    wanted = load_file(path)
    assert list(read) == sorted(wanted) and metadata == {"format": "pt"}
    for name, value in wanted.items():
        assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
        assert read[name].reshape(-1).view(torch.uint8).equal(value.reshape(-1).view(torch.uint8)), name


def test_values_that_lie_on_odd_bytes_are_read(tmp_path: Path) -> None:
    header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    path = written(tmp_path / "a.safetensors", text + b" " * (1 + -len(text) % 8), struct.pack("<2f", 1.5, -2.0))
    assert checkpoint.read(path).tensors["w"].tolist() == [1.5, -2.0]
    assert inspect.inspect(path, deep=True).tensors[0].stats is not None


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_writing_into_a_tensor_never_changes_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    save({"w": torch.ones(4)}, path)
    before = path.read_bytes()
    tensor = checkpoint.read(path).tensors["w"]
    tensor.fill_(7)
    assert tensor.tolist() == [7, 7, 7, 7] and path.read_bytes() == before


def test_torch_maps_as_it_did_once_a_file_is_read(tmp_path: Path) -> None:
    real = torch.UntypedStorage.from_file
    torch.save({"w": torch.ones(4)}, tmp_path / "a.pt")
    checkpoint.read(tmp_path / "a.pt")
    assert torch.UntypedStorage.from_file == real and "from_file" not in vars(torch.UntypedStorage)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"w": {**GOOD, "shape": [3]}}, "a shape for 12 bytes and a place for 8"),
        ({"w": {**GOOD, "shape": [-2]}}, "a shape or a place that is none"),
        ({"w": {**GOOD, "shape": [2.0]}}, "a shape or a place that is none"),
        ({"w": {**GOOD, "shape": [True, 2]}}, "a shape or a place that is none"),
        ({"w": {**GOOD, "shape": [2**62, 2**62]}}, "a shape for"),
        ({"w": {**GOOD, "data_offsets": [8, 0]}}, "a place for -8"),
        ({"w": {"dtype": "F32"}}, "no dtype, shape or place"),
        ({"w": 3}, "no dtype, shape or place"),
        ({"w": GOOD, "v": GOOD}, "overlap, or leave gaps"),
        ({"w": {**GOOD, "data_offsets": [4, 12]}}, "overlap, or leave gaps"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, "take 4 bytes, the file holds 8"),
        ({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, "take 16 bytes, the file holds 8"),
        ({"w": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}}, "broken or was cut short"),
        ({"w": GOOD, "__metadata__": {"a": 1}}, "its metadata are no texts"),
        (b'{"w": 1, "w": 2}', "names something twice"),
        (b'{"w": ', "its header is no JSON"),
        (b"{" * 9000, "its header is no JSON"),
    ],
)
def test_a_header_that_lies_is_told(tmp_path: Path, header: Any, words: str) -> None:
    path = written(tmp_path / "a.safetensors", header, bytes(8))
    with pytest.raises(EngineError) as caught:
        checkpoint.read(path)
    assert caught.value.kind == "checkpoint" and words in str(caught.value)


def test_statistics_are_read_with_progress_and_nothing_else_is(tmp_path: Path) -> None:
    names = ["a.running_mean", "a.running_var", "b.running_mean", "b.running_var", "b.weight"]
    save_file({name: torch.ones(4) for name in names}, tmp_path / "a.safetensors")
    told: list[tuple[str, float]] = []

    def progress(what: Clause, share: float | None) -> None:
        if share is not None:
            told.append((str(what.values["tensor"]), share))

    inspect.inspect(tmp_path / "a.safetensors", progress=progress)
    assert told == [(name, index / 4) for index, name in enumerate(names[:4])]
