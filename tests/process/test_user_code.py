"""What the person's code may do while it is imported and built, on the real model process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytestqt.qtbot import QtBot

from modelight.outcome import Outcome
from modelight.problems import Problem
from modelight.session import Session
from modelight.setup import Setup
from tests.process.conftest import DIGITS, PATIENCE, Notes, open_and_settle

NET = """
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 2)
"""


def written(folder: Path, code: str) -> Setup:
    (folder / "users_net.py").write_text(code + NET)
    return Setup(f"{folder}/users_net.py:Net", directory=str(folder))


@pytest.mark.parametrize(
    "code",
    [
        "print('now', flush=True)\nwhile True: pass",
        "print('now', flush=True)\nimport time\ntime.sleep(1000)",
        "print('now', flush=True)\nimport threading\nthreading.Lock().acquire() and threading.Event().wait()",
    ],
    ids=["loops", "sleeps", "waits"],
)
def test_an_import_that_never_ends_is_cancelled(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path, code: str
) -> None:
    """There is no model yet that could be lost, so its process is ended; the next open has a new one."""
    session.open(written(tmp_path, code))
    qtbot.waitUntil(lambda: "now" in "".join(notes.console), timeout=PATIENCE)
    with qtbot.waitSignal(session.refused, timeout=PATIENCE):
        session.cancel_all()
    qtbot.waitUntil(lambda: not session.alive, timeout=10_000)
    assert [problem.kind for problem in notes.problems if isinstance(problem, Problem)] == [
        "cancelled"
    ] and session.model is None
    open_and_settle(qtbot, session, Setup(DIGITS))
    assert len(notes.problems) == 1 and notes.frames


def test_an_import_that_ends_in_time_is_cancelled_without_ending_the_process(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    session.open(written(tmp_path, "print('now', flush=True)\nimport time\ntime.sleep(0.3)"))
    qtbot.waitUntil(lambda: "now" in "".join(notes.console), timeout=PATIENCE)
    with qtbot.waitSignal(session.refused, timeout=PATIENCE):
        session.cancel_all()
    qtbot.wait(1800)  # longer than the patience that would have ended it
    assert session.alive and session.model is None
    assert [problem.sentence for problem in notes.problems if isinstance(problem, Problem)] == [
        f"Opening {tmp_path}/users_net.py:Net was cancelled."
    ]


def test_a_fork_that_runs_on_does_not_speak_to_the_window(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    open_and_settle(qtbot, session, written(tmp_path, "import os\nif os.fork() == 0: print('child', flush=True)"))
    assert notes.problems == [] and notes.frames
    assert "".join(notes.console) == "child\n"


def test_code_that_closes_every_descriptor_ends_the_process_and_writes_into_no_file_of_its_own(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    """Its next files get the numbers that the pipe had."""
    code = (
        "import os\nos.closerange(3, 64)\n"
        "files = [open(os.path.join(os.path.dirname(__file__), f'f{n}'), 'wb') for n in range(20)]"
    )
    with qtbot.waitSignal(session.ended, timeout=PATIENCE) as blocker:
        session.open(written(tmp_path, code))
    assert isinstance(blocker.args[0], Outcome) and blocker.args[0].code == 5
    assert "closed the pipe" in "".join(notes.console)
    assert {(tmp_path / f"f{n}").stat().st_size for n in range(20)} == {0}


def test_ten_megabytes_of_print_and_a_look_at_the_keyboard(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    open_and_settle(qtbot, session, written(tmp_path, "for _ in range(10_000): print('x' * 1000)"))
    assert notes.problems == [] and notes.frames
    assert "".join(notes.console).count("x") == 10_000_000
    session.open(written(tmp_path, "name = input('name? ')"))
    qtbot.waitUntil(lambda: bool(notes.problems), timeout=PATIENCE)
    problem = notes.problems[0]
    assert isinstance(problem, Problem) and problem.kind == "import" and "no keyboard" in problem.sentence


def test_while_a_library_is_imported_its_name_is_said(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    session.progress.connect(lambda text, _: said.append(text))
    (tmp_path / "slow_library").mkdir()
    (tmp_path / "slow_library" / "__init__.py").write_text("import time\ntime.sleep(1.5)\n")
    open_and_settle(qtbot, session, written(tmp_path, "import slow_library"))
    importing = [Path(text).name for text in said if text.startswith("Importing ")]
    assert importing[0] == "users_net.py" and "users_net.py: slow_library" in importing


DISTRIBUTED = """
import os
import torch
from torch import nn

def build():
    meeting = f"file://{os.path.dirname(__file__)}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    inside = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    return torch.compile(nn.parallel.DistributedDataParallel(inside))

def example_input():
    return torch.rand(5, 4)
"""


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
def test_a_compiled_model_in_distributed_data_parallel_is_shown_and_run_as_the_model_inside(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    (tmp_path / "distributed_net.py").write_text(DISTRIBUTED)
    open_and_settle(qtbot, session, Setup(f"{tmp_path}/distributed_net.py:build", directory=str(tmp_path), batch=5))
    assert notes.problems == [] and notes.frames
    assert session.model is not None and session.model.type == "Sequential"
    assert [row.path for row in session.model.rows] == ["", "0", "1", "2"]
    assert [note.id for note in session.model.notes] == ["compiled-unwrapped", "parallel-unwrapped"]
    with qtbot.waitSignal(session.python_ready, timeout=PATIENCE) as blocker:
        session.ask_python()
    assert blocker.args[0].startswith("model = model.module")
