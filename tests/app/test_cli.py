"""The command line: each command gets the shared options, written once, and hands on what they say."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from modelight import desktop, headless, shot
from modelight.cli import app
from modelight.protocol import FromFile, Images
from modelight.setup import Setup

MODEL = ["net.py:Net", "net.pt"]
WORDS = [
    *("--input", "x.npz", "--input", "cat.png", "--batch", "3", "--seed", "7", "--grad", "enabled", "--device", "cuda"),
    *("--image-size", "8x9", "--image-mean", "0.1,0.2,0.3", "--image-std", "0.5", "--image-channels", "1"),
    *("--key", "ema", "--align", "--partial", "--trust"),
]
ELSEWHERE = ["--python", "/env/python", "--host", "me@gpu", "--ssh", "ssh -p 22"]


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a command hands on in place of doing it."""
    found: list[Any] = []

    def take(*given: Any) -> int:
        found.extend(given)
        return 0

    monkeypatch.setattr(desktop, "run_window", take)
    monkeypatch.setattr(headless, "check_command", take)
    monkeypatch.setattr(shot, "take", take)
    return found


def run(*words: str) -> None:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output


def expected(directory: str) -> Setup:
    return Setup(
        "net.py:Net",
        "net.pt",
        directory,
        "cuda",
        key="ema",
        trust=True,
        align=True,
        partial=True,
        sources=[FromFile("x.npz"), Images(("cat.png",), (8, 9), 1, (0.1, 0.2, 0.3), (0.5,))],
        grad_mode="enabled",
        batch=3,
        seed=7,
    )


def test_open_check_and_shot_take_the_same_options(
    handed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    run("open", *MODEL, *WORDS)
    run("check", *MODEL, *WORDS, "--allow", "ML101", "--allow", "ML120", "--json")
    run("shot", *MODEL, *WORDS, "--page", "dropout", "--select", "body.1", "--mode", "eval")
    setup, _, checked, allowed, as_json, taken = handed
    assert setup == checked == expected(str(tmp_path))
    assert (allowed, as_json) == (["ML101", "ML120"], True)
    setup.selection = "body.1"
    assert taken.setup == setup and (taken.page, taken.preset, taken.size) == ("dropout", "eval", (1440, 900))


def test_nothing_given_is_a_plain_setup(handed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    run("check", "net.py:Net")
    assert handed == [Setup("net.py:Net", directory=str(tmp_path)), [], False]


@pytest.mark.parametrize("command", ["open", "shot"])
def test_on_another_machine_paths_begin_where_its_shell_does(handed: list[Any], command: str) -> None:
    run(command, *MODEL, *WORDS, *ELSEWHERE)
    setup, start = handed if command == "open" else (handed[0].setup, handed[0].command)
    assert setup == expected("")
    assert start == ["ssh", "-p", "22", "-T", "me@gpu", "/env/python -P -m modelight.engine"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--image-size", "8"], "is no size"),
        (["--image-size", "8x²"], "is no size"),
        (["--image-std", "0"], "no deviation is 0"),
        (["--image-mean", "a"], "as numbers with commas"),
        (["--input", "cat.doc"], "no input that Modelight knows"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_what_cannot_be_understood_is_said(handed: list[Any], words: list[str], told: str) -> None:
    for command in ("open", "check", "shot"):
        result = CliRunner().invoke(app, [command, *MODEL, *words])
        assert result.exit_code == 2 and told in " ".join(result.output.replace("│", " ").split())
    assert handed == []
