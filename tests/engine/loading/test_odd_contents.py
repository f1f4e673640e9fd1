"""Files whose contents are odd: numbers that torch has no type for, lists that hold themselves, modules that fail."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.inspect import facts
from modelight.engine.loading import checkpoint, formats, whole


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "odd.pt")
    return folder / "odd.pt"


def wrapping(path: Path) -> dict[str, str]:
    return dict(facts.inspect(path).wrapping)


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble])
def test_numbers_wider_than_any_of_torch_are_no_tensors(dtype: type, tmp_path: Path) -> None:
    path = saved(tmp_path, {"weight": torch.ones(2), "wide": np.ones(3, dtype)})
    assert [tensor.name for tensor in facts.inspect(path).tensors] == ["weight"]
    assert isinstance(checkpoint.read(path).tensors["weight"], torch.Tensor)


class Swapped(dict[str, Any]):
    """So that the file is read whole, arrays by numpy itself."""


def test_arrays_of_the_other_byte_order_and_turned_round_are_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4" if sys.byteorder == "little" else "<f4")
    path = saved(tmp_path, Swapped(swapped=values, turned=values[::-1].astype("f8"), weight=torch.ones(1)))
    with pytest.raises(EngineError) as refused:
        checkpoint.read(path)
    assert refused.value.kind == "consent"
    tensors = checkpoint.read(path, trust=True).tensors
    assert tensors["swapped"].tolist() == [0, 1, 2, 3, 4, 5]
    assert tensors["turned"].tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("dtype", [torch.bits8, torch.float4_e2m1fn_x2])
@pytest.mark.filterwarnings("ignore")  # torch's, of what it calls a prototype
def test_a_lone_value_that_is_no_number_is_named_by_its_type(dtype: torch.dtype, tmp_path: Path) -> None:
    lone = torch.zeros(1, dtype=torch.uint8).view(dtype)
    path = saved(tmp_path, {"model": {"weight": torch.ones(2)}, "lone": [lone]})
    assert wrapping(path)["lone"] == f"[tensor 1 {str(dtype).removeprefix('torch.')}]"


def test_lists_within_lists_are_written_out_three_deep(tmp_path: Path) -> None:
    itself: list[Any] = [1]
    itself.append(itself)
    shared: list[Any] = [2]
    for _ in range(40):  # written out it would have 8 ** 40 entries
        shared = [shared] * 8
    path = saved(tmp_path, {"model": {"weight": torch.ones(2)}, "itself": itself, "shared": shared, "none": [[[[]]]]})
    found = wrapping(path)
    assert found["itself"] == "[1, [1, [1, [… (2)]]]]"
    assert found["shared"].startswith("[[[[… (8)], [… (8)]")
    assert found["none"] == "[[[[]]]]"


class Silent(nn.Linear):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("not here")


def test_a_module_that_does_not_tell_its_state_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = saved(tmp_path, {"model": Silent(2, 2)})
    for read in (facts.inspect, checkpoint.read):
        with pytest.raises(EngineError, match=r"The Silent in the file .* ValueError: not here"):
            read(path, trust=True)


def test_a_program_that_was_zipped_anew_keeps_its_empty_tensors(tmp_path: Path) -> None:
    class Empty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("none", torch.empty(0, 3))

        def forward(self, value: torch.Tensor) -> torch.Tensor:
            return value + self.get_buffer("none").sum()

    torch.export.save(torch.export.export(Empty(), (torch.ones(2),)), tmp_path / "stored.pt2")
    with (
        zipfile.ZipFile(tmp_path / "stored.pt2") as stored,
        zipfile.ZipFile(tmp_path / "packed.pt2", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    for name in ("stored.pt2", "packed.pt2"):
        assert formats.read_raw(tmp_path / name).content["none"].shape == (0, 3)


def test_a_file_that_nobody_agreed_to_brings_no_folder_onto_the_import_path(tmp_path: Path) -> None:
    path = saved(tmp_path, Silent(2, 2))
    with pytest.raises(EngineError) as refused:
        whole.load(path, str(tmp_path))
    assert refused.value.kind == "consent"
    assert str(tmp_path) not in sys.path
    assert isinstance(whole.load(path, str(tmp_path), trust=True), Silent)
    assert str(tmp_path) in sys.path  # the code of the model may import more from there


def shards(folder: Path, *contents: Any) -> Path:
    for number, content in enumerate(contents, 1):
        torch.save(content, folder / f"model-{number:05}-of-{len(contents):05}.bin")
    return folder


def test_what_wraps_every_shard_wraps_the_whole(tmp_path: Path) -> None:
    first = {"module": {"a": torch.ones(1), "tied": torch.full((2,), float("nan"))}, "epoch": 3}
    second = {"module": {"b": torch.ones(2), "tied": torch.full((2,), float("nan"))}, "epoch": 3}
    read = checkpoint.read(shards(tmp_path, first, second))
    assert (read.wrapper, sorted(read.tensors)) == ("module", ["a", "b", "tied"])


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("other", [torch.zeros(2), torch.ones(3), torch.ones(2, dtype=torch.float64)])
def test_shards_that_hold_parts_of_the_same_tensor_are_refused(
    other: torch.Tensor, wrapped: bool, tmp_path: Path
) -> None:
    contents: list[Any] = [{"weight": torch.ones(2)}, {"weight": other}]
    contents = [{"model": content} for content in contents] if wrapped else contents
    with pytest.raises(EngineError, match="hold weight with different values"):
        checkpoint.read(shards(tmp_path, *contents))
