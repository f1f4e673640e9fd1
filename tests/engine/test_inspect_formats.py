"""Checkpoints of every format looked at without their model, down to files larger than the memory should take."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.inspect import inspect, stamp_of
from modelight.protocol import Clause
from tests.engine.checkpoints import ids, layer, small, tensor


def resident() -> int:
    """Bytes of this process's memory that are really there, mapped files included."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) * 1024


def test_a_lightning_checkpoint_shows_its_hyper_parameters(tmp_path: Path) -> None:
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.save(
        {
            "epoch": 3,
            "global_step": 480,
            "pytorch-lightning_version": "2.5.0",
            "state_dict": {f"net.{name}": value for name, value in model.state_dict().items()},
            "optimizer_states": [optimizer.state_dict()],
            "lr_schedulers": [],
            "hyper_parameters": {"width": 8, "dropout": 0.5},
        },
        tmp_path / "last.ckpt",
    )

    facts = inspect(tmp_path / "last.ckpt")

    around = dict(facts.wrapping)
    assert facts.key == "state_dict"
    assert around["hyper_parameters.dropout"] == "0.5"
    assert around["global_step"] == "480"
    assert around["pytorch-lightning_version"] == "2.5.0"
    assert around["optimizer_states[0].param_groups[0].lr"] == "0.001"
    assert layer(facts, "net.norm").kind.id == "kind-batch-norm"


def test_safetensors_and_its_metadata_in_natural_order(tmp_path: Path) -> None:
    model = nn.ModuleList(nn.Linear(2, 2) for _ in range(11))
    save_file(model.state_dict(), tmp_path / "a.safetensors", metadata={"format": "pt", "note": "seven"})

    facts = inspect(tmp_path / "a.safetensors")

    assert facts.format == "safetensors"
    assert dict(facts.metadata) == {"format": "pt", "note": "seven"}
    assert [one.name for one in facts.layers[1:]] == [str(number) for number in range(11)]
    assert facts.parameters == 66


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    state = small().state_dict()
    names = list(state)
    save_file({name: state[name] for name in names[:4]}, tmp_path / "m-1.safetensors")
    save_file({name: state[name] for name in names[4:]}, tmp_path / "m-2.safetensors")
    where = {name: f"m-{1 if name in names[:4] else 2}.safetensors" for name in names}
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))

    facts = inspect(index)

    assert {one.name for one in facts.tensors} == set(names)
    assert facts.file_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert layer(facts, "norm").kind.id == "kind-batch-norm"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_half_and_smaller_dtypes_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([1.5, -2.0, 0.25, 0.0]).to(dtype)
    torch.save({"a.weight": values.reshape(2, 2)}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt", deep=True)

    found = tensor(facts, "a.weight")
    assert found.bytes == values.numel() * values.element_size()
    assert found.dtype == str(dtype).removeprefix("torch.")
    assert found.stats is not None
    assert (found.stats.minimum, found.stats.maximum) == (-2.0, 1.5)
    assert found.stats.mean == pytest.approx(-0.0625)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_quantized_tensors_are_read_as_the_numbers_they_stand_for(tmp_path: Path) -> None:
    weight = torch.quantize_per_tensor(torch.tensor([[-1.0, 0.5], [1.0, 0.0]]), 0.25, 3, torch.qint8)
    torch.save({"a.weight": weight, "a.scale": torch.tensor(0.5), "a.zero_point": torch.tensor(0)}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt", deep=True)

    found = tensor(facts, "a.weight")
    assert (found.dtype, found.bytes, found.role) == ("qint8", 4, "buffer")
    assert found.stats is not None
    assert (found.stats.minimum, found.stats.maximum) == (-1.0, 1.0)
    assert layer(facts, "a").kind.id == "kind-quantized"


def test_the_legacy_format_is_read(tmp_path: Path) -> None:
    torch.save(
        {"epoch": 2, "state_dict": small().state_dict()}, tmp_path / "a.pth", _use_new_zipfile_serialization=False
    )

    facts = inspect(tmp_path / "a.pth")

    assert facts.format == "torch legacy"
    assert facts.parameters == sum(value.numel() for value in small().parameters())
    assert facts.wrapping == [("epoch", "2")]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_shows_its_flags_and_class_names(tmp_path: Path) -> None:
    model = small()
    model.norm.eval()
    torch.jit.script(model).save(tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert facts.format == "TorchScript"
    assert facts.has_flags
    # Dropout holds no tensor, and is the very layer whose flag matters.
    flags = {one.path: one.training for one in facts.layers}
    assert flags == {"": True, "conv": True, "norm": False, "drop": True, "head": True}
    assert layer(facts, "norm").kind == Clause("kind-named", {"type": "BatchNorm2d"})
    assert not any(one.guessed for one in facts.layers)
    assert next(note for note in facts.notes if note.id == "flags-carried").values == {"train": 4, "eval": 1}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_frozen_script_is_said_to_have_neither_tensors_nor_flags(tmp_path: Path) -> None:
    torch.jit.freeze(torch.jit.script(small().eval())).save(tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert facts.tensors == []
    assert "script-frozen" in ids(facts.notes)
    assert not facts.has_flags


def test_a_whole_module_needs_consent_and_then_shows_its_flags(tmp_path: Path) -> None:
    model = small().eval()
    model.drop.train()
    torch.save(model, tmp_path / "a.pt")

    with pytest.raises(EngineError) as refused:
        inspect(tmp_path / "a.pt")
    facts = inspect(tmp_path / "a.pt", trust=True)

    assert refused.value.kind == "consent"
    assert {one.path for one in facts.layers if one.training} == {"drop"}
    assert all(not one.role_guessed for one in facts.tensors)
    assert facts.buffers == 17


def test_a_module_inside_a_wrapper_keeps_its_flags(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "net": small().eval()}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt", trust=True)

    assert (facts.key, facts.wrapping) == ("net", [("epoch", "1")])
    assert facts.has_flags
    assert not any(one.training for one in facts.layers)


@pytest.mark.parametrize("content", [b"", b"random bytes, no checkpoint", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_ends_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)

    with pytest.raises(EngineError, match=r"a\.pt") as refused:
        inspect(tmp_path / "a.pt")

    assert refused.value.kind == "checkpoint"


def sparse_safetensors(path: Path, tensors: int, bytes_each: int) -> None:
    """A file that claims ``tensors`` × ``bytes_each`` and holds a hole, but for running statistics that are written."""
    statistics = np.arange(1, 9, dtype="<f4").tobytes() * 2
    header: dict[str, object] = {
        "norm.running_mean": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},
        "norm.running_var": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]},
    }
    end = len(statistics)
    for number in range(tensors):
        header[f"layers.{number}.weight"] = {
            "dtype": "F32", "shape": [bytes_each // 4096, 1024], "data_offsets": [end, end + bytes_each],
        }  # fmt: skip
        end += bytes_each
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + statistics)
    os.truncate(path, 8 + len(text) + end)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the memory figures of Linux")
def test_headers_first_the_values_of_a_huge_file_are_not_read(tmp_path: Path) -> None:
    sparse_safetensors(tmp_path / "big.safetensors", 16, 256 * 1024 * 1024)
    save_file({"warm.weight": torch.ones(2)}, tmp_path / "small.safetensors")
    inspect(tmp_path / "small.safetensors")  # imports are no part of what is measured
    before = resident()

    facts = inspect(tmp_path / "big.safetensors")

    grown = resident() - before
    assert facts.tensor_bytes == 4 * 1024**3 + 64
    assert facts.file_bytes > 4 * 1024**3
    assert len(facts.tensors) == 18
    assert grown < 64 * 1024 * 1024, grown


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the memory figures of Linux")
def test_headers_first_holds_for_zip_files_of_torch(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2048, 16384), "n.running_mean": torch.ones(4)}, tmp_path / "a.pt")
    before = resident()

    facts = inspect(tmp_path / "a.pt")

    assert facts.tensor_bytes == 128 * 1024**2 + 16
    assert resident() - before < 64 * 1024 * 1024


def test_a_folder_is_looked_at_through_the_file_in_it(tmp_path: Path) -> None:
    save_file({"a.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")

    facts = inspect(tmp_path)

    assert facts.path == str(tmp_path / "model.safetensors")
    assert facts.stamp == stamp_of(facts.path)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_model_prepared_for_quantization_keeps_its_batch_norm_and_shows_its_observers(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    model.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    prepared = torch.ao.quantization.prepare(model)
    prepared(torch.randn(1, 3, 8, 8))
    torch.save(prepared.state_dict(), tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert layer(facts, "1").kind.id == "kind-batch-norm"
    assert layer(facts, "0.activation_post_process").kind.id == "kind-observer"
    assert facts.parameters == sum(value.numel() for value in model.parameters())
    assert facts.buffers == sum(value.numel() for value in prepared.buffers())


@pytest.mark.filterwarnings("ignore:.*Sparse:UserWarning")
@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "bsc"])
def test_sparse_tensors_take_the_bytes_of_their_values_and_places(tmp_path: Path, layout: str) -> None:
    eye = torch.eye(4)
    blocks = ((2, 2),) if layout.startswith("b") else ()
    made = eye.to_sparse() if layout == "coo" else getattr(eye, f"to_sparse_{layout}")(*blocks)
    torch.save({"a": made, "b": torch.ones(2)}, tmp_path / "a.pt")
    # 4 values and their places; of the two blocks all 8 values. Places are int64.
    wanted = {"coo": 16 + 64, "csr": 16 + 40 + 32, "csc": 16 + 40 + 32, "bsr": 32 + 24 + 16, "bsc": 32 + 24 + 16}
    found = tensor(inspect(tmp_path / "a.pt", deep=True), "a")
    assert (found.shape, found.bytes, found.stats) == ((4, 4), wanted[layout], None)
