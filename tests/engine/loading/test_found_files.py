"""Files as people have them on their disks, and what is said of those that are none."""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.inspect import stamp_of
from modelight.engine.loading import arguments, checkpoint, spec
from tests.engine.checkpoints import ids


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())


STATE = net().state_dict()


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def assert_loads(path: Path) -> checkpoint.LoadReport:
    module = net()
    with torch.no_grad():
        for value in module.state_dict().values():
            value.zero_()
    report = checkpoint.load_into(module, path)
    assert (report.loaded, report.missing, report.mismatched) == (len(STATE), [], [])
    assert all(torch.equal(value, STATE[name]) for name, value in module.state_dict().items())
    return report


def refusal(path: Path) -> str:
    with pytest.raises(EngineError) as one:
        checkpoint.read(path)
    with pytest.raises(EngineError) as other:
        inspect.inspect(path)
    assert one.value.kind == "checkpoint" and str(one.value) == str(other.value)
    return str(one.value)


# ---------------------------------------------------------------------------------------------------- what holds one


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ([STATE, {"epoch": 3}], "0"),
        (({"epoch": 3}, STATE), "1"),
        ({"models": [{"opt": 1}, {"net": STATE}]}, "models.1.net"),
        ({"a": {"b": {"c": {"d": {"e": STATE}}}}}, "a.b.c.d.e"),
    ],
    ids=["list", "tuple", "list in a dict", "five deep"],
)
def test_a_state_dict_is_found_where_it_lies(tmp_path: Path, content: Any, key: str) -> None:
    path = saved(tmp_path / "a.pt", content)
    assert assert_loads(path).wrapper == key
    facts = inspect.inspect(path, key=key)
    assert facts.key == key and len(facts.tensors) == len(STATE)
    assert not any(name.startswith(key.replace("0", "[0]")) and text == "dict (7)" for name, text in facts.wrapping)


def test_a_module_in_a_list_shows_its_flags_after_consent(tmp_path: Path) -> None:
    facts = inspect.inspect(saved(tmp_path / "a.pt", [net().eval(), 7]), trust=True)
    assert (facts.key, facts.has_flags, facts.wrapping) == ("0", True, [("[1]", "7")])


@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_of_numpy_are_tensors_and_need_no_consent(tmp_path: Path, zipped: bool) -> None:
    arrays = {name: value.numpy() for name, value in STATE.items()}
    assert_loads(saved(tmp_path / "a.pt", {"params": arrays}, _use_new_zipfile_serialization=zipped))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.array([[True, False]]),
        np.float16([1.5, -2]),
        np.array(3 + 4j),
        np.zeros((0, 3)),
    ],
    ids=lambda array: f"{array.dtype.str} {array.shape}",
)
def test_arrays_keep_their_values_whatever_their_order_and_kind(tmp_path: Path, array: Any) -> None:
    read = checkpoint.read(saved(tmp_path / "a.pt", {"x.weight": torch.ones(1), "x.other": array})).tensors["x.other"]
    assert read.numpy().dtype == array.dtype.newbyteorder("=") and np.array_equal(read.numpy(), array)


def test_arrays_of_texts_and_objects_are_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"w": torch.ones(2), "words": np.array(["a", "b"])})
    assert [one.name for one in inspect.inspect(path).tensors] == ["w"]


def test_numbers_and_times_beside_the_weights_are_shown(tmp_path: Path) -> None:
    content = {
        "model": STATE,
        "fitness": np.float64(0.625),
        "steps": np.int32(7),
        "date": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "seen": np.zeros((2, 3), np.float32),
    }
    path = saved(tmp_path / "a.pt", content)
    around = dict(inspect.inspect(path).wrapping)
    assert around == {
        "fitness": "0.625",
        "steps": "7",
        "date": "2026-01-02 03:04:05",
        "seen": "array 2 × 3 float32",
    }
    assert checkpoint.read(path).metadata == {
        "fitness": "0.625",
        "steps": "7",
        "date": "2026-01-02 03:04:05",
    }


def test_arguments_that_numpy_holds_are_proposed_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "net_of_arguments.py").write_text(
        "from torch import nn\ndef build(width, depth=1):\n    return nn.Linear(width, depth)\n"
    )
    path = saved(tmp_path / "a.pt", {"model": STATE, "args": argparse.Namespace(width=np.int64(4), depth=2)})
    resolved = spec.resolve(spec.parse(f"{tmp_path}/net_of_arguments.py:build"))
    found = arguments.propose(resolved.spec, resolved.target, str(path))
    assert found is not None and found.taken == ("width=4", "depth=2")


def test_measures_are_no_state_dict(tmp_path: Path) -> None:
    """As Lightning keeps those of its callbacks."""
    best = {"best_model_score": torch.tensor(0.1), "best_model_path": "x.ckpt"}
    path = saved(tmp_path / "a.ckpt", {"state_dict": STATE, "callbacks": {"ModelCheckpoint": best}})
    assert [one.key for one in inspect.inspect(path).state_dicts] == ["state_dict"]
    assert "a dict with accuracy, epoch" in refusal(
        saved(tmp_path / "b.pt", {"accuracy": torch.tensor(0.9), "epoch": 3})
    )


def test_keys_that_are_no_texts_are_told_once(tmp_path: Path) -> None:
    facts = inspect.inspect(saved(tmp_path / "a.pt", {0: torch.ones(2), 1: torch.ones(3)}))
    assert [one.name for one in facts.tensors] == ["0", "1"] and facts.wrapping == []


# ------------------------------------------------------------------------------------------------------------ shards


def shards(folder: Path, suffix: str = "safetensors", start: int = 1) -> Path:
    folder.mkdir()
    names = list(STATE)
    for number, part in enumerate((names[:2], names[2:5], names[5:]), start=start):
        held = {name: STATE[name].clone() for name in part}
        save = save_file if suffix == "safetensors" else torch.save
        save(held, folder / f"model-{number:05d}-of-00003.{suffix}")
    return folder


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("start", [0, 1])
def test_numbered_shards_without_an_index_are_one_checkpoint(tmp_path: Path, suffix: str, start: int) -> None:
    folder = shards(tmp_path / "shards", suffix, start)
    assert assert_loads(folder).format.endswith(", 3 shards")
    facts = inspect.inspect(folder)
    assert facts.file_bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert facts.stamp == stamp_of(facts.path)
    os.utime(folder / f"model-{start + 1:05d}-of-00003.{suffix}", (1, 1))
    assert facts.stamp != stamp_of(facts.path)


@pytest.mark.parametrize("lost", [1, 3])
def test_a_numbered_shard_that_is_missing_is_named(tmp_path: Path, lost: int) -> None:
    folder = shards(tmp_path / "shards")
    (folder / f"model-0000{lost}-of-00003.safetensors").unlink()
    expected = "number 1 is missing" if lost == 1 else "number 3 is missing"
    assert f"holds 2 of 3 shards and no index: {expected}" in refusal(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "holds 1 of 3 shards and no index" in refusal(folder)


def test_one_shard_by_itself_says_that_it_is_one(tmp_path: Path) -> None:
    path = shards(tmp_path / "shards") / "model-00002-of-00003.safetensors"
    (note,) = (note for note in inspect.inspect(path).notes if note.id == "one-of-shards")
    assert note.values == {"number": 2, "of": 3}
    assert "one-of-shards" in ids(checkpoint.load_into(net(), path).notes)


def indexed(folder: Path, **more: str) -> Path:
    shards(folder)
    where = {
        name: f"model-0000{1 + (index > 1) + (index > 4)}-of-00003.safetensors" for index, name in enumerate(STATE)
    }
    index = {"metadata": {"total_size": 612}, "weight_map": where | more}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_an_index_that_names_what_no_shard_holds_is_told(tmp_path: Path) -> None:
    folder = indexed(tmp_path / "shards", lost="model-00001-of-00003.safetensors")
    facts = inspect.inspect(folder)
    (note,) = (note for note in facts.notes if note.id == "index-names-absent")
    assert note.values == {"count": 1, "first": "lost"}
    assert ("total_size", "612") in facts.metadata
    report = assert_loads(folder)
    assert "index-names-absent" in ids(report.notes) and "checkpoint-says" not in ids(report.notes)


def test_of_two_shards_with_the_same_tensor_the_index_decides(tmp_path: Path) -> None:
    folder = indexed(tmp_path / "shards")
    last = folder / "model-00003-of-00003.safetensors"
    names = list(STATE)
    save_file({names[0]: torch.zeros_like(STATE[names[0]])} | {n: STATE[n].clone() for n in names[5:]}, last)
    assert_loads(folder)


def test_a_folder_of_folders_names_them(tmp_path: Path) -> None:
    for name in ("unet", "vae", "empty"):
        (tmp_path / name).mkdir()
    for name in ("unet", "vae"):
        save_file({"w": torch.ones(2)}, tmp_path / name / "diffusion_pytorch_model.safetensors")
    assert "in each of its folders unet, vae: name one of them" in refusal(tmp_path)


# ------------------------------------------------------------------------------------------------------ what is none


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!doctype html><html>", "is a web page"),
        (b"\n  <HTML>", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (b"Entry not found", "is a text, not a checkpoint: it begins with “Entry not found”"),
        (b'{"error": "Repository not found"}', "it begins with “{"),
        ("Fehler: nicht gefunden – …\n".encode() * 80, "it begins with “Fehler: nicht gefunden"),
        (b"BZh91AY&SY", "bzip2: unpack it first"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd: unpack it first"),
        (b"\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
        (b"\x08\x07\x12\x07pytorch", "is no checkpoint"),
    ],
)
def test_what_people_take_for_a_checkpoint_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    assert words in refusal(tmp_path / "a.pt")


def test_archives_of_files_are_to_be_unpacked(tmp_path: Path) -> None:
    inner = saved(tmp_path / "inner.pt", STATE)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(inner, "run/inner.pt")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(inner, "inner.pt")
    np.savez(tmp_path / "a.npz", w=np.ones(2))
    assert "unpack it first, it holds run/inner.pt" in refusal(tmp_path / "a.zip")
    assert "is a tar archive, but not one that torch.save wrote: unpack it first, it holds inner.pt" in refusal(
        tmp_path / "a.tar"
    )
    assert "can be opened as an input" in refusal(tmp_path / "a.npz")


def test_a_tar_that_was_cut_short_is_told(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = 4000
            archive.addfile(info, io.BytesIO(bytes(4000)))
    (tmp_path / "a.tar").write_bytes(stream.getvalue()[:5000])
    assert refusal(tmp_path / "a.tar")


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    """As a cache of blobs, or git-annex, leaves them where the blob was not fetched."""
    (tmp_path / "gone.pt").symlink_to("blobs/1f3a")
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    assert "gone.pt is a link to blobs/1f3a, and there is no file" in refusal(tmp_path / "gone.pt")
    assert "loop.pt is a link to loop.pt" in refusal(tmp_path / "loop.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.ones(3, 4), "one tensor of shape (3, 4)"),
        ([torch.ones(3)], "a list of 1"),
        (
            {"optimizer": {"state": {}, "param_groups": []}, "a": 1, "b": 2, "c": 3, "d": 4},
            "a dict with optimizer, a, b, c …",
        ),
        (None, "an object of type NoneType"),
    ],
)
def test_what_was_found_in_place_of_a_state_dict_is_said(tmp_path: Path, content: Any, words: str) -> None:
    assert words in refusal(saved(tmp_path / "a.pt", content))


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_script_has_no_weights_to_load(tmp_path: Path) -> None:
    torch.jit.freeze(torch.jit.script(net().eval())).save(str(tmp_path / "frozen.pt"))
    with pytest.raises(EngineError, match="its script was frozen"):
        checkpoint.read(tmp_path / "frozen.pt")


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_what_has_no_shape_is_listed_and_loads_nowhere(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    path = saved(tmp_path / "a.pt", {**STATE, **nn.LazyLinear(2).state_dict(prefix="lazy."), "nested": nested})
    facts = inspect.inspect(path, deep=True)
    assert dict(facts.extras) == {
        "lazy.weight": "lazy, without a shape yet",
        "lazy.bias": "lazy, without a shape yet",
        "nested": "nested tensor",
    }
    assert len(facts.tensors) == len(STATE)
    assert checkpoint.load_into(net(), path).unexpected == ["lazy.weight", "lazy.bias", "nested"]


def test_the_model_is_likelier_than_its_average_and_an_optimizer_is_neither(tmp_path: Path) -> None:
    optimizer = {"state": {"0.weight": {"exp_avg": torch.ones(3), "step": torch.tensor(1.0)}}, "param_groups": [{}]}
    content = {"ema": {"state_dict": STATE, "decay": 0.99}, "opt_g": optimizer, "model": STATE}
    keys = [one.key for one in inspect.inspect(saved(tmp_path / "a.pt", content)).state_dicts]
    assert keys == ["model", "ema.state_dict"]
    assert "a dict with state, param_groups" in refusal(saved(tmp_path / "b.pt", optimizer))


def test_a_name_that_only_sounds_like_an_optimizer_is_searched_if_nothing_else_is_there(tmp_path: Path) -> None:
    assert assert_loads(saved(tmp_path / "a.pt", {"optimized_model": STATE, "epoch": 3})).wrapper == "optimized_model"
    content = {"optimized_model": STATE, "model": STATE}
    assert [one.key for one in inspect.inspect(saved(tmp_path / "b.pt", content)).state_dicts] == ["model"]
