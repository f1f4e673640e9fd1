"""Files of 20 GB that are holes on the disk: their trees are there at once, and with little memory."""

from __future__ import annotations

import json
import os
import struct
import warnings
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from modelight.engine import inspect
from modelight.engine.errors import Cancelled
from modelight.engine.inspect import handlers
from modelight.engine.loading import checkpoint
from modelight.protocol import InspectTensor

LAYERS, SIDE = 20, 16384
BYTES = LAYERS * SIDE * SIDE * 4
LITTLE = 96 * 1024 * 1024

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs the counters of Linux")


def huge_safetensors(folder: Path) -> Path:
    step = SIDE * SIDE * 4
    header = {
        f"layers.{i}.weight": {"dtype": "F32", "shape": [SIDE, SIDE], "data_offsets": [i * step, (i + 1) * step]}
        for i in range(LAYERS)
    }
    text = json.dumps(header).encode()
    with (folder / "huge.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + BYTES)
    return folder / "huge.safetensors"


def huge_zip(folder: Path) -> Path:
    with FakeTensorMode(), torch.serialization.skip_data(materialize_fake_tensors=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({f"layers.{i}.weight": torch.empty(SIDE, SIDE) for i in range(LAYERS)}, folder / "huge.pt")
    return folder / "huge.pt"


def figure(file: str, name: str) -> int:
    line = next(line for line in Path(f"/proc/self/{file}").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def resident() -> int:
    return figure("status", "VmRSS:") * 1024


def read_so_far() -> int:
    """Bytes that this process asked for by read(); pages that a map brings in are not among them, but are resident."""
    return figure("io", "rchar:")


@pytest.mark.parametrize("make", [huge_safetensors, huge_zip])
def test_the_tree_of_twenty_gigabytes_reads_little_and_needs_little_memory(tmp_path: Path, make: object) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    assert path.stat().st_size > BYTES > 20 * 10**9
    if path.stat().st_blocks * 512 > 64 * 1024 * 1024:
        pytest.skip("this disk keeps no holes")
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "small.pt")
    inspect.inspect(tmp_path / "small.pt")  # imports are no part of what is measured
    memory, read = resident(), read_so_far()
    facts = inspect.inspect(path)
    assert (facts.tensor_bytes, len(facts.tensors), facts.parameters) == (BYTES, LAYERS, BYTES // 4)
    assert len(checkpoint.read(path).tensors) == LAYERS
    assert resident() - memory < LITTLE
    assert read_so_far() - read < LITTLE


def test_reading_a_tensor_of_it_reports_progress_and_can_be_stopped(tmp_path: Path) -> None:
    path = huge_safetensors(tmp_path)
    command = InspectTensor(id=1, path=str(path), name="layers.7.weight")
    shares: list[float] = []

    def progress(_: object, share: float | None) -> None:
        shares.append(share or 0.0)

    with pytest.raises(Cancelled):
        handlers.handle_tensor(command, progress=progress, should_stop=lambda: len(shares) > 3)
    assert len(shares) == 4 and shares == sorted(shares) and shares[-1] < 1
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(Exception, match="broken or was cut short"):
        inspect.inspect(path)
