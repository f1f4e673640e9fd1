"""Hostile and broken files: always a sentence, never a crash, and no code of theirs runs."""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, pickles, sources, tensorfiles, whole
from modelight.protocol import FromFile

RAN: list[str] = []
MUTATIONS = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def run(what: str) -> str:
    """What the hostile pickles call; that it was called is the failure."""
    RAN.append(what)
    return what


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return run, ("the pickle ran",)


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    RAN.clear()
    yield
    assert RAN == []


def refusal(path: Path, **options: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        checkpoint.read(path, **options)
    assert str(caught.value).strip()
    return caught.value


def saved(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_with_code_asks_for_consent_and_names_it(tmp_path: Path, zipped: bool, protocol: int) -> None:
    content = {"state_dict": {"w": torch.ones(2)}, "evil": Hostile()}
    path = saved(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    error = refusal(path)
    assert error.kind == "consent"
    assert error.clause is not None and error.clause.id == "checkpoint-consent"
    named = error.clause.values["globals"]
    assert f"{__name__}.run" in named  # type: ignore[operator]
    assert f"{__name__}.run" in str(error)


def test_a_plain_pickle_asks_for_consent_too(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"evil": Hostile()}))
    assert refusal(tmp_path / "a.pkl").kind == "consent"


def test_after_consent_and_only_then_a_whole_module_is_read_with_its_flags(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    net[1].eval()
    path = saved(net, tmp_path / "whole.pt")
    error = refusal(path)
    assert error.kind == "consent" and "whole.pt holds a whole pickled model" in str(error)
    assert "torch.nn.modules.container.Sequential" in str(error)
    assert error.clause is not None and error.clause.id == "checkpoint-consent-model"
    read = checkpoint.read(path, trust=True)
    assert torch.equal(read.tensors["0.weight"], net[0].weight)
    assert read.flags == {"": True, "0": True, "1": False}


def test_after_consent_the_code_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    saved({"w": torch.ones(1), "x": Hostile()}, path)
    data = path.read_bytes().replace(__name__.encode(), b"no.such.module_".ljust(len(__name__), b"x")[: len(__name__)])
    path.write_bytes(_with_checksums(data))
    assert refusal(path).kind == "consent"
    assert "is not installed here" in str(refusal(path, trust=True))


def _with_checksums(data: bytes) -> bytes:
    """The same zip entries, written anew so that the checksums fit the changed bytes."""
    source, target = io.BytesIO(data), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            start = entry.header_offset + 30 + sum(struct.unpack("<HH", data[entry.header_offset + 26 :][:4]))
            new.writestr(entry.filename, data[start : start + entry.file_size])
    return target.getvalue()


def test_names_hidden_behind_the_memo_are_found() -> None:
    class Twice:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.path.join, ("posixpath", "join")

    stream = pickle.dumps([Twice(), Twice()], protocol=4)
    assert pickles.globals_of(stream) == ["posixpath.join"]
    hidden = b"\x80\x04(\x8c\x05posixI0\n0\x8c\x06system\x93."
    assert pickles.globals_of(hidden) != []


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(3.0),
        np.arange(3),
        argparse.Namespace(lr=0.1, out=Path("runs")),
        collections.defaultdict(list, {"loss": [1.0]}),
        complex(1, 2),
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_metrics_arguments_and_paths_beside_the_weights_need_no_consent(
    tmp_path: Path, beside: object, zipped: bool
) -> None:
    content = {"model": {"w": torch.ones(2)}, "beside": beside}
    path = saved(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert checkpoint.read(path).tensors["w"].tolist() == [1, 1]


def test_stand_ins_hold_for_one_file_alone(tmp_path: Path) -> None:
    path = saved({"w": torch.ones(2), "x": np.float64(3.0)}, tmp_path / "a.pt")
    checkpoint.read(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def test_consent_names_only_what_is_not_plain(tmp_path: Path) -> None:
    path = saved({"w": torch.ones(2), "x": np.float64(3.0), "y": Hostile()}, tmp_path / "a.pt")
    error = refusal(path)
    assert error.clause is not None
    assert error.clause.values["globals"] == [f"{__name__}.run"]
    assert error.clause.values["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_torch_with_known_holes_reads_no_pickle_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"w": torch.ones(2)}, tmp_path / "a.pt")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert "before 2.6 a crafted file could run code" in str(refusal(path))
    assert "w" in checkpoint.read(path, trust=True).tensors


def test_a_plain_pickle_of_arrays_is_read_after_consent(tmp_path: Path) -> None:
    path = tmp_path / "detectron.pkl"
    path.write_bytes(pickle.dumps({"model": {"w": np.ones((2, 3), np.float32)}, "matching_heuristics": True}))
    assert refusal(path).kind == "consent"
    assert torch.equal(checkpoint.read(path, trust=True).tensors["w"], torch.ones(2, 3))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is no checkpoint", "is no checkpoint"),
        (b"PK\x03\x04 and then nothing", "broken or was cut short"),
        (b"\x80\x02", "cut short"),
        (b"\x80\x02]q\x00.", "is not a checkpoint"),
        (struct.pack("<Q", 10**6) + b'{"a":', "broken or was cut short"),
        (struct.pack("<Q", 2) + b"{}", "no state dict"),
        (bytes(1000), "is no checkpoint"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "run git lfs pull"),
    ],
)
def test_what_is_no_checkpoint_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    error = refusal(path)
    assert error.kind == "checkpoint"
    assert words in str(error)


def test_names_that_no_file_can_have_are_told(tmp_path: Path) -> None:
    long = "x" * 300
    assert refusal(tmp_path / f"{long}.pt").kind == "checkpoint"
    with pytest.raises(EngineError, match="cannot be read"):
        tensorfiles.read(FromFile(f"{long}.npy"), str(tmp_path), [])
    with pytest.raises(EngineError, match="is not a path that can be read"):
        sources.import_file(f"{long}.py", str(tmp_path))
    assert whole.find(f"net.py:Net('{long}')", str(tmp_path)) is None
    assert "There is no file" in str(refusal(Path("~no_such_user_here/a.pt")))


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"w": torch.ones(1)}, tmp_path / "a.pt")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # as root, no file is unreadable
    assert "cannot be read: Permission denied" in str(refusal(path))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert "There is no file" in str(refusal(tmp_path / "none.pt"))
    assert "a folder without a checkpoint" in str(refusal(tmp_path))
    os.mkfifo(tmp_path / "pipe.pt")
    assert "not an ordinary file" in str(refusal(tmp_path / "pipe.pt"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_files_are_told(tmp_path: Path, kind: str, share: float) -> None:
    path = _good(tmp_path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert refusal(path).kind in ("checkpoint", "consent")


def test_a_zip_that_is_no_torch_file_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("../../evil.txt", "x")
    assert "not one that torch.save wrote" in str(refusal(tmp_path / "a.pt"))


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    saved({"w": torch.ones(2)}, tmp_path / "good.pt")
    with (
        zipfile.ZipFile(tmp_path / "good.pt") as good,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for entry in good.infolist():
            bomb.writestr(entry.filename, good.read(entry))
        with bomb.open("good/data/1", "w", force_zip64=True) as stream:
            for _ in range(300):
                stream.write(bytes(1024 * 1024))
    assert "would unpack to" in str(refusal(tmp_path / "bomb.pt"))


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "..", "a/b.bin", "..\\x.bin", "other.index.json"]
)
def test_an_index_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "secret.safetensors")
    folder = tmp_path / "in"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": name}}))
    assert "not a file beside it" in str(refusal(index))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "[" * 5000])
def test_a_broken_index_is_told(tmp_path: Path, text: str) -> None:
    index = tmp_path / "a.index.json"
    index.write_text(text)
    words = "is empty" if not text else "not an index of shards"
    assert words in str(refusal(index))


def test_a_tensor_that_claims_more_than_its_file_holds_is_told(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    assert refusal(tmp_path / "a.safetensors").kind == "checkpoint"


def test_a_file_that_needs_more_memory_than_there_is_is_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved({"w": torch.ones(1)}, tmp_path / "a.pt")

    def too_large(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:130] DefaultCPUAllocator: can't allocate memory: …")

    monkeypatch.setattr(torch, "load", too_large)
    error = refusal(path)
    assert error.kind == "memory" and "asks for more memory than there is" in str(error)


def test_a_tar_from_before_torch_0_4_asks_for_consent(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "old.pt", "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps({"evil": Hostile()}, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    error = refusal(tmp_path / "old.pt")
    assert error.kind == "consent"


def _good(folder: Path, kind: str) -> Path:
    state = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).state_dict()
    path = folder / f"good.{kind}"
    if kind == "safetensors":
        save_file(dict(state), path)
    else:
        torch.save({"model": state, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(data=st.data())
def test_mutated_files_always_end_in_a_state_dict_or_a_sentence(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    whole = bytearray(_good(tmp_path, kind).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        _mutate(whole, data)
    path = tmp_path / "mutated"
    path.write_bytes(whole)
    _read_or_sentence(lambda: checkpoint.read(path))
    for suffix in (".pt", ".npz", ".npy", ".safetensors"):
        renamed = path.with_suffix(suffix)
        renamed.write_bytes(whole)
        _read_or_sentence(lambda file=renamed: tensorfiles.read(FromFile(str(file)), "", []))  # type: ignore[misc]


@settings(MUTATIONS)
@given(data=st.data())
def test_mutated_pickles_in_sound_zips_end_the_same_way(tmp_path: Path, data: st.DataObject) -> None:
    """The checksums of the zip fit, so that the pickle itself is what is read."""
    with zipfile.ZipFile(_good(tmp_path, "zip")) as archive:
        entries = {entry.filename: bytearray(archive.read(entry)) for entry in archive.infolist()}
    pickled = next(content for name, content in entries.items() if name.endswith("data.pkl"))
    for _ in range(data.draw(st.integers(1, 3))):
        _mutate(pickled, data)
    path = tmp_path / "mutated.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, bytes(content))
    _read_or_sentence(lambda: checkpoint.load_into(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), path))


def _mutate(whole: bytearray, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, max(0, len(whole) - 1)))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
    if kind == "flip" and whole:
        whole[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del whole[at : at + data.draw(st.integers(1, 64))]
    elif kind == "insert":
        whole[at:at] = data.draw(st.binary(min_size=1, max_size=32))
    else:
        whole[at:at] = whole[at : at + 32]


def _read_or_sentence(read: Callable[[], object]) -> None:
    try:
        read()
    except EngineError as error:
        assert error.kind in ("checkpoint", "consent", "memory", "input")
        assert len(str(error)) > 10
