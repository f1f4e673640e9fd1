"""What a file dropped on the window is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelight.dropped import sort_files


@pytest.mark.parametrize(
    "name",
    [
        "a.pt",
        "A.PTH",
        "a.safetensors",
        "a.ckpt",
        "a.th",
        "a.tar",
        "a.model",
        "a.pkl",
        "a.pt2",
        "a.bin.index.json",
        "dcp/",
    ],
)
def test_weights_of_every_kind_are_a_checkpoint(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    dropped = sort_files([path])
    assert (dropped.model, dropped.checkpoint, dropped.sources) == (None, path, [])


def test_models_are_python_files_and_folders_of_transformers(tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    for path in (tmp_path / "net.py", tmp_path / "bert"):
        assert sort_files([path, tmp_path / "a.pt"]).model == path


def test_the_rest_is_input_or_left_out(tmp_path: Path) -> None:
    dropped = sort_files([tmp_path / name for name in ("a.npy", "b.png", "c.jpg", "notes.txt", "config.json")])
    assert (dropped.model, dropped.checkpoint, len(dropped.sources)) == (None, None, 2)
