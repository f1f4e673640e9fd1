"""Consent holds for the bytes that were looked at: what takes the file's place afterwards is asked for anew."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, torchfiles

RAN: list[str] = []


def run(what: str) -> str:
    RAN.append(what)
    return what


class Runs:
    def __init__(self, what: str) -> None:
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        return run, (self.what,)


@pytest.fixture(autouse=True)
def nothing_ran_yet() -> None:
    RAN.clear()


def saved(path: Path, what: str, **options: Any) -> Path:
    torch.save({"model": {"w": torch.ones(2)}, "x": Runs(what)}, path, **options)
    return path


def asked(path: Path, trust: torchfiles.Trust = False) -> str:
    """The hash under which the refusal can be agreed to."""
    with pytest.raises(EngineError) as caught:
        checkpoint.read(path, trust=trust)
    assert caught.value.kind == "consent" and caught.value.clause is not None
    assert RAN == []
    return str(caught.value.clause.values["sha256"])


@pytest.mark.parametrize("zipped", [True, False])
def test_agreed_bytes_are_read_and_others_are_asked_for_anew(tmp_path: Path, zipped: bool) -> None:
    path = saved(tmp_path / "a.pt", "first", _use_new_zipfile_serialization=zipped)
    sha256 = asked(path)
    saved(path, "other", _use_new_zipfile_serialization=zipped)
    other = asked(path, trust=[sha256])
    assert other == hashlib.sha256(path.read_bytes()).hexdigest() != sha256

    assert checkpoint.read(path, trust=[sha256, other]).tensors["w"].tolist() == [1, 1]
    assert RAN == ["other"]
    assert inspect.inspect(path, trust={other}).key == "model"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_swapped_between_the_hash_and_the_reading_is_not_the_one_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    path = saved(tmp_path / "a.pt", "agreed to", _use_new_zipfile_serialization=zipped)
    swapped = saved(tmp_path / "b.pt", "never seen", _use_new_zipfile_serialization=zipped)
    sha256 = asked(path)
    real = torchfiles.digest

    def then_swapped(stream: Any) -> str:
        found = real(stream)
        swapped.replace(path)
        return found

    monkeypatch.setattr(torchfiles, "digest", then_swapped)
    checkpoint.read(path, trust=[sha256])
    assert RAN == ["agreed to"]


def test_an_empty_agreement_is_none(tmp_path: Path) -> None:
    asked(saved(tmp_path / "a.pt", "no"), trust=[])


def test_a_torch_with_known_holes_reads_what_was_agreed_to_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"w": torch.ones(2)}, path)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(EngineError, match=r"before 2\.6 a crafted file could run code"):
        checkpoint.read(path, trust=["0" * 64])
    assert "w" in checkpoint.read(path, trust=[hashlib.sha256(path.read_bytes()).hexdigest()]).tensors


def test_a_decoy_beside_the_real_pickle_hides_nothing(tmp_path: Path) -> None:
    """What is listed is the entry that torch will unpickle, not another one whose name ends the same way."""
    saved(tmp_path / "real.pt", "hidden")
    decoy = pickle.dumps(complex(1, 2), protocol=2)
    with (
        zipfile.ZipFile(tmp_path / "real.pt") as real,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_STORED) as made,
    ):
        made.writestr("real/decoy-data.pkl", decoy)
        for entry in real.infolist():
            made.writestr(entry.filename, real.read(entry))
    with pytest.raises(EngineError) as caught:
        checkpoint.read(tmp_path / "a.pt")
    assert caught.value.clause is not None
    assert caught.value.clause.values["globals"] == [f"{__name__}.run"]


def test_an_old_tar_whose_first_name_looks_like_a_pickle_is_told_by_its_own_pickles(tmp_path: Path) -> None:
    """torch takes whatever tarfile reads for a file from before 0.4, also without the mark of newer archives."""
    decoy = "\x80\x02cargparse\nHelpFormatter\n."
    with tarfile.open(tmp_path / "a.pt", "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        for name in (decoy, "storages", "tensors", "pickle"):
            data = pickle.dumps({"evil": Runs("hidden")}, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[257:265] = bytes(8)  # the mark goes; the checksum is of all bytes, its own as blanks
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    (tmp_path / "a.pt").write_bytes(content)
    assert tarfile.is_tarfile(tmp_path / "a.pt")
    with pytest.raises(EngineError) as caught:
        checkpoint.read(tmp_path / "a.pt")
    assert caught.value.clause is not None
    assert f"{__name__}.run" in caught.value.clause.values["globals"]  # type: ignore[operator]


def test_a_zip_that_was_compressed_anew_holds_the_same_values(tmp_path: Path) -> None:
    values = {"norm.running_mean": torch.arange(64.0), "norm.running_var": torch.ones(64), "w": torch.rand(40, 40)}
    torch.save(values, tmp_path / "stored.pt")
    with (
        zipfile.ZipFile(tmp_path / "stored.pt") as stored,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    read = checkpoint.read(tmp_path / "packed.pt").tensors
    assert all(torch.equal(read[name], value) for name, value in values.items())
    seen = inspect.inspect(tmp_path / "packed.pt")
    assert [mark for layer in seen.layers for mark in layer.marks] == []
