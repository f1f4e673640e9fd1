"""The model process under another interpreter and behind a command that stands in for ssh."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from modelight.client import ENGINE, Client, engine_command
from modelight.problems import Problem
from modelight.session import Session
from modelight.setup import Setup
from tests.process.conftest import DIGITS, PATIENCE, Notes, open_and_settle

NEEDS = "It needs Python 3.11 or later with modelight, torch 2.6 or later, numpy, msgspec, safetensors and pillow"
STAND_IN = """
# What ssh does, without a network: takes its options and the host, gives the rest to a shell.
import os, sys
assert sys.argv[1:3] == ["-T", "somebody@elsewhere"], sys.argv
os.execvp("sh", ["sh", "-c", " ".join(sys.argv[3:])])
"""


def test_over_a_stand_in_for_ssh_everything_works_as_here(qtbot: QtBot, tmp_path: Path) -> None:
    script = tmp_path / "ssh.py"
    script.write_text(STAND_IN)
    command = engine_command(sys.executable, "somebody@elsewhere", f"{sys.executable} {script}")
    session = Session(Client(command=command))
    notes = Notes(session)
    try:
        open_and_settle(qtbot, session, Setup(DIGITS))
        assert notes.problems == [] and len(notes.frames) == 2
    finally:
        session.close()


def test_the_command_for_a_host_is_one_quoted_line() -> None:
    assert engine_command(host="me@gpu") == ["ssh", "-T", "me@gpu", "python3 -P -m modelight.engine"]
    quoted = engine_command("/opt/my env/python", "me@gpu", "ssh -p 2222")
    assert quoted == ["ssh", "-p", "2222", "-T", "me@gpu", "'/opt/my env/python' -P -m modelight.engine"]


def test_a_tilde_is_the_home_of_whoever_runs_the_interpreter() -> None:
    assert engine_command("~/env/bin/python")[0] == str(Path.home() / "env/bin/python")
    assert engine_command("env/bin/python")[0] == "env/bin/python"
    assert engine_command("~/env/bin/python", "me@gpu")[-1].startswith("~/env/bin/python -P ")
    assert engine_command("~/my env/bin/python", "me@gpu")[-1].startswith("~/'my env/bin/python' -P ")


def problem_with(qtbot: QtBot, command: list[str]) -> Problem:
    """What a person reads where this command is to start the model process."""
    session = Session(Client(command=command))
    notes = Notes(session)
    try:
        session.open(Setup(DIGITS))
        qtbot.waitUntil(lambda: bool(notes.problems), timeout=PATIENCE)
        assert len(notes.problems) == 1
        problem = notes.problems[0]
        assert isinstance(problem, Problem) and problem.fatal
        return problem
    finally:
        session.close()


def script(path: Path, text: str) -> str:
    """A program that can be given as ``--python``."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_without_modelight_is_a_sentence_that_says_what_it_needs(qtbot: QtBot) -> None:
    # -S leaves site-packages out: an interpreter with nothing installed.
    sentence = problem_with(qtbot, [sys.executable, "-S", *ENGINE]).sentence
    assert f"{sys.executable} has no modelight." in sentence and NEEDS in sentence


@pytest.mark.parametrize(
    ("module", "package"),
    [(name, name) for name in ("msgspec", "numpy", "torch", "safetensors")] + [("PIL", "pillow")],
)
def test_each_package_that_the_other_interpreter_lacks_is_named(
    qtbot: QtBot, tmp_path: Path, module: str, package: str
) -> None:
    """Blocked before anything else runs: for Python it is as if it were not installed."""
    blocked = f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')"
    (tmp_path / f"{module}.py").write_text(blocked)
    python = script(tmp_path / "python", f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    sentence = problem_with(qtbot, engine_command(python)).sentence
    assert f"{python} has no {package}." in sentence and NEEDS in sentence


def test_a_torch_that_is_too_old_is_refused_with_its_version(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("__version__ = '2.5.1+cu124'")
    python = script(tmp_path / "python", f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    sentence = problem_with(qtbot, engine_command(python)).sentence
    assert "torch 2.5.1+cu124" in sentence and "needs torch 2.6 or later" in sentence


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10"])
def test_an_older_python_is_said_to_be_too_old(qtbot: QtBot, version: str) -> None:
    python = older(version)
    sentence = problem_with(qtbot, engine_command(python)).sentence
    assert f"{python} is older than Python 3.11." in sentence and NEEDS in sentence


def older(version: str) -> str:
    """A real interpreter of that version; without one, the test is skipped."""
    roots = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    found = next((str(path) for path in roots), None) or shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"there is no Python {version} here")
    return found


def test_what_is_no_interpreter_is_said_in_its_own_words(qtbot: QtBot, tmp_path: Path) -> None:
    missing, folder, plain = tmp_path / "python9", tmp_path / "env", tmp_path / "notes.txt"
    folder.mkdir()
    plain.write_text("print('hello')")
    assert f"there is no interpreter {missing}" in problem_with(qtbot, engine_command(str(missing))).sentence
    assert "there is no interpreter no-such-python" in problem_with(qtbot, engine_command("no-such-python")).sentence
    assert f"{folder} is a folder" in problem_with(qtbot, engine_command(str(folder))).sentence
    assert f"{plain} may not be executed" in problem_with(qtbot, engine_command(str(plain))).sentence
    empty = script(tmp_path / "broken", "\x7fELF is not all it takes")
    assert f"{empty} is no program that this system runs" in problem_with(qtbot, engine_command(empty)).sentence
    silent = script(tmp_path / "silent", "#!/bin/sh\nexit 9\n")
    assert "ended with exit status 9, without a word" in problem_with(qtbot, engine_command(silent)).sentence


@pytest.mark.parametrize("text", ["hello", "\n\n", "\thello from a profile"], ids=["text", "empty-lines", "tab"])
def test_what_speaks_before_the_model_process_is_quoted(qtbot: QtBot, tmp_path: Path, text: str) -> None:
    """Such as a sitecustomize, or the profile of a shell. A line feed must not pass for the length of a message."""
    python = script(tmp_path / "python", f"#!/bin/sh\nprintf '%s\\n' '{text}'\nexec \"{sys.executable}\" \"$@\"\n")
    sentence = problem_with(qtbot, engine_command(python)).sentence
    assert f"“{text.strip()}" in sentence and "must write nothing to stdout" in sentence


def test_an_interpreter_that_hangs_is_ended_when_it_is_cancelled(qtbot: QtBot, tmp_path: Path) -> None:
    session = Session(Client(command=engine_command(script(tmp_path / "python", "#!/bin/sh\nsleep 600\n"))))
    notes = Notes(session)
    session.open(Setup(DIGITS))
    qtbot.wait(300)
    with qtbot.waitSignal(session.refused, timeout=PATIENCE):
        session.cancel_all()
    qtbot.waitUntil(lambda: not session.alive, timeout=5000)
    assert [problem.kind for problem in notes.problems if isinstance(problem, Problem)] == ["cancelled"]
    session.close()


def test_modules_in_the_working_directory_do_not_stand_in_for_the_engines(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("msgspec", "numpy", "torch", "modelight", "random"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the one of the working directory')")
    monkeypatch.chdir(tmp_path)
    session = Session(Client(command=engine_command(sys.executable)))
    notes = Notes(session)
    try:
        open_and_settle(qtbot, session, Setup(DIGITS))
        assert notes.problems == [] and notes.frames
    finally:
        session.close()


def test_a_host_that_cannot_be_reached_is_told_in_the_words_of_ssh(qtbot: QtBot, tmp_path: Path) -> None:
    words = "ssh: connect to host gpu port 22: Connection refused"
    ssh = script(tmp_path / "ssh", f"#!/bin/sh\necho '{words}' >&2\nexit 255\n")
    assert words in problem_with(qtbot, engine_command("", "me@gpu", ssh)).sentence
    ssh = script(tmp_path / "ssh", '#!/bin/sh\necho "sh: 1: python3: not found" >&2\nexit 127\n')
    assert "python3: not found" in problem_with(qtbot, engine_command("", "me@gpu", ssh)).sentence
    ssh = script(tmp_path / "ssh", '#!/bin/sh\necho "/usr/bin/python3: No module named modelight" >&2\nexit 1\n')
    assert "me@gpu:python3 has no modelight." in problem_with(qtbot, engine_command("", "me@gpu", ssh)).sentence
