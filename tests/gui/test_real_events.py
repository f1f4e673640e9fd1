"""A real X server, a real window, real mouse and keyboard events (Xvfb and xdotool)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or shutil.which("xdotool") is None, reason="needs Xvfb and xdotool"
)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


class Stage:
    """The window's program and what it says."""

    def __init__(self, display: str, folder: Path) -> None:
        self.environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.gui.stage", "modelight.sample_models.digits_cnn:build", str(folder)],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next thing said that is wanted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if wanted(said):
                return dict(said)
        raise AssertionError(f"the window ended with {self.process.wait()}")

    def do(self, *words: object) -> None:
        """Real events: the words are xdotool's."""
        subprocess.run(["xdotool", *map(str, words)], env=self.environment, check=True)

    def click(self, place: list[int]) -> None:
        self.do("mousemove", "--sync", *place)
        self.do("click", 1)


@pytest.fixture
def stage(display: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(display, tmp_path)
    yield stage
    stage.process.kill()
    stage.process.wait(10)
    if stage.process.stdout is not None:
        stage.process.stdout.close()


def test_mouse_and_keyboard_flip_modes_and_undo(stage: Stage) -> None:
    places = stage.wait(lambda said: said["event"] == "settled")
    assert places["modes"] == "train"
    stage.click(places["lamp"])
    changed = stage.wait(lambda said: said["event"] == "changed")
    assert changed["modes"] == "mixed" and changed["rows"] >= 10
    stage.wait(lambda said: said["event"] == "settled")
    stage.do("key", "ctrl+z")
    assert stage.wait(lambda said: said["event"] == "changed")["modes"] == "train"
    stage.wait(lambda said: said["event"] == "settled")
    stage.click(places["eval"])
    assert stage.wait(lambda said: said["event"] == "changed")["train"] == 0
    stage.wait(lambda said: said["event"] == "settled")
    stage.click(places["live"])
    assert stage.wait(lambda said: said["event"] == "frame" and said["live"])["train"] == 0
