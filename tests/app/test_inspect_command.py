"""``modelight inspect``: what it prints, as text and JSON, and its exit status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modelight.inspect_command import inspect_command


def model() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.LazyLinear(10))
    made(torch.randn(4, 3, 6, 6))
    return made


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    torch.save({"epoch": 12, "model": model().state_dict(), "ema": model().state_dict()}, tmp_path / "a.pt")
    return str(tmp_path / "a.pt")


def run(path: str, other: str | None = None, *, json: bool = False, key: str | None = None, deep: bool = False) -> int:
    return inspect_command(path, other, json, key, deep)


def broken(tmp_path: Path) -> str:
    state = model().state_dict()
    state["1.running_var"][3] = float("nan")
    torch.save(state, tmp_path / "nan.pt")
    return str(tmp_path / "nan.pt")


def test_text_has_the_summary_on_top_and_an_aligned_tree(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(checkpoint)

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines[0] == checkpoint
    assert lines[1].startswith("  torch zip, ")
    assert lines[1].endswith("state dict at model")
    assert "9 tensors, 1 530 parameters" in lines[2].replace("\u202f", " ")
    assert "model (9 tensors), ema (9 tensors). --key NAME takes another." in lines[3]
    assert any("carries no training flags" in line for line in lines)
    assert any(line.split() == ["epoch", "12"] for line in lines)
    head = next(line for line in lines if line.startswith("name"))
    rows = lines[lines.index(head) + 1 :]
    weight = next(line for line in rows if line.strip().startswith("weight"))
    assert weight.index("parameter") == head.index("kind")
    assert weight.index("float32") == head.index("dtype")
    assert weight.rstrip().endswith("864\u00a0B")
    assert any("Conv2d, 8 filters of 3 × 3 × 3" in line for line in rows)


def test_another_state_dict_by_key(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkpoint, key="ema") == 0
    assert "state dict at ema" in capsys.readouterr().out


def test_marks_need_attention_and_change_the_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(broken(tmp_path))

    out = capsys.readouterr().out
    assert status == 1
    assert "Needs attention\n  1.running_var  running_var holds 1 NaN\n" in out


def test_deep_reads_every_value(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(checkpoint)
    assert "other values were not read" in capsys.readouterr().out
    run(checkpoint, deep=True)
    out = capsys.readouterr().out
    assert "other values were not read" not in out
    assert ", s.d. " in out


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint at all", b"PK\x03\x04cut"])
def test_what_cannot_be_read_is_one_sentence_on_stderr(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.pt"
    if content is not None:
        path.write_bytes(content)

    status = run(str(path))

    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "a.pt" in printed.err


def test_a_pickled_module_is_refused_by_name_and_shown_after_consent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(model().eval(), tmp_path / "whole.pt")

    refused = run(str(tmp_path / "whole.pt"))
    sentence = capsys.readouterr().err
    agreed = inspect_command(str(tmp_path / "whole.pt"), None, False, None, False, trust=True)

    out = capsys.readouterr().out
    assert (refused, agreed) == (2, 0)
    assert "torch.nn.modules.batchnorm.BatchNorm2d" in sentence
    assert "0 modules in train, 5 in eval" in out


def test_two_checkpoints_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other = model(), model()
    other(torch.randn(4, 3, 6, 6) + 2)
    torch.save(first.state_dict(), tmp_path / "first.pt")
    torch.save({f"module.{name}": value for name, value in other.state_dict().items()}, tmp_path / "other.pt")

    status = run(str(tmp_path / "first.pt"), str(tmp_path / "other.pt"))

    out = capsys.readouterr().out
    assert status == 0
    assert "6 tensors equal, 3 different" in out
    assert "“module.” was put before the names of the first" in out
    assert "updates between" in out
    assert any(line.startswith("1.running_mean") for line in out.splitlines())


def test_marks_are_said_beside_another_checkpoint_too(
    tmp_path: Path, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(checkpoint, broken(tmp_path)) == 1
    assert "running_var holds 1 NaN" in capsys.readouterr().out


def test_json_says_the_same_as_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = model().state_dict()
    torch.save(state, tmp_path / "a.pt")

    run(str(tmp_path / "a.pt"), json=True, deep=True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert found["format_version"] == 1
    assert {one["name"]: tuple(one["shape"]) for one in found["tensors"]} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    stats = next(one["stats"] for one in found["tensors"] if one["name"] == "3.weight")
    assert stats["minimum"] == state["3.weight"].min().item()
    assert sum(stats["counts"]) == state["3.weight"].numel()
    assert found["layers"][1]["kind"]["text"] == "Conv2d, 8 filters of 3 × 3 × 3"
    assert found["attention"] == []


def test_json_stays_json_with_infinity_and_strange_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"a.weight": torch.tensor([float("inf"), 1.0]), "b\x1b[31m\ud800.weight": torch.ones(2)}
    torch.save(state, tmp_path / "a.pt")

    status = run(str(tmp_path / "a.pt"), json=True, deep=True)
    found = json.loads(capsys.readouterr().out)
    run(str(tmp_path / "a.pt"))
    text = capsys.readouterr().out

    assert status == 1
    assert found["tensors"][0]["stats"]["maximum"] == "inf"
    assert [one["where"] for one in found["attention"]] == ["a.weight"]
    assert "\x1b" not in text


def test_a_pair_as_json(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(checkpoint, checkpoint, json=True, key="ema")
    found = json.loads(capsys.readouterr().out)

    assert (found["first"]["key"], found["other"]["key"]) == ("ema", "ema")
    assert all(one["equal"] for one in found["difference"]["tensors"])


def test_a_stream_that_takes_ascii_alone_gets_plain_signs(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)

    assert run(checkpoint) == 0
    assert b"8 filters of 3 x 3" in raw.getvalue()
    assert b"1 530 parameters" in raw.getvalue()


def test_neither_qt_nor_a_terminal_is_needed(checkpoint: str) -> None:
    code = (
        "import sys; from modelight.inspect_command import inspect_command; "
        f"inspect_command({checkpoint!r}, None, False, None, False); "
        "sys.exit('PySide6' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_examples_of_the_docs_are_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(root)
    page = (root / "docs/inspect.md").read_text(encoding="utf-8")

    def block(language: str) -> str:
        return page.partition(f"```{language}\n")[2].partition("\n```")[0]

    run("sample_models/digits_cnn.pt")
    assert capsys.readouterr().out.rstrip("\n") == block("text")
    run("sample_models/digits_cnn.pt", json=True, deep=True)
    found = json.loads(capsys.readouterr().out)
    del found["stamp"]
    found["layers"], found["tensors"] = found["layers"][2:3], found["tensors"][:1]
    del found["tensors"][0]["stats"]["counts"][3:]
    shown = json.loads(block("json"))
    for figure in ("mean", "std"):  # the order of a sum differs between processors
        one, other = (content["tensors"][0]["stats"].pop(figure) for content in (found, shown))
        assert one == pytest.approx(other, rel=1e-12)
    assert found == shown


def test_a_reader_that_has_seen_enough_changes_no_status(tmp_path: Path) -> None:
    torch.save({f"{number}.weight": torch.ones(1, 1) for number in range(4000)}, tmp_path / "many.pt")
    command = f"{sys.executable} -m modelight inspect {tmp_path}/many.pt"
    script = f"{command} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{tmp_path}/many.pt", "0"]
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_cannot_be_written_is_told_and_is_no_mark(checkpoint: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m modelight inspect {checkpoint} > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "could not be written: No space left on device" in done.stderr


def test_an_empty_name_is_not_the_folder_one_stands_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("") == 2
    assert "has no name" in capsys.readouterr().err
