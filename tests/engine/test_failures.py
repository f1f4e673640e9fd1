"""Exceptions of the person's code as the window hears of them: their own frames, and nothing of the engine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelight.engine.errors import EngineError, said
from modelight.engine.loading import opening
from modelight.engine.process.failures import MAX_SENTENCE, failure
from modelight.protocol import Failure, Open

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self{arguments}):
        super().__init__()
        {line}
"""


def told(folder: Path, line: str, arguments: str = "") -> Failure:
    (folder / "failing_net.py").write_text(NET.format(line=line, arguments=arguments))
    with pytest.raises(EngineError) as caught:
        opening.open_model(Open(id=1, spec=f"{folder}/failing_net.py:Net"))
    return failure(1, caught.value)


def files(trace: str) -> list[str]:
    """The files of a traceback, outermost first."""
    return [Path(line.split('"')[1]).name for line in trace.splitlines() if line.strip().startswith("File ")]


def test_the_persons_frames_come_first_and_the_library_after(tmp_path: Path) -> None:
    heard = told(tmp_path, "self.layer = nn.Conv2d(3, 4, 3, groups=2)")
    assert heard.type == "ValueError" and "groups" in heard.message
    assert files(heard.traceback) == ["failing_net.py", "conv.py", "conv.py"]


def test_what_the_error_was_raised_from_is_told_without_frames_of_the_engine(tmp_path: Path) -> None:
    heard = told(
        tmp_path, "try: {}['lost']\n        except KeyError as error: raise RuntimeError('no config') from error"
    )
    assert files(heard.traceback) == ["failing_net.py", "failing_net.py"]
    assert heard.traceback.index("KeyError: 'lost'") < heard.traceback.index("RuntimeError: no config")


def test_a_call_that_misses_an_argument_has_no_frames_at_all(tmp_path: Path) -> None:
    heard = told(tmp_path, "pass", ", width")
    assert "missing 1 required positional argument: 'width'" in heard.message
    assert heard.traceback.startswith("TypeError: ") and not files(heard.traceback)


def test_a_syntax_error_shows_the_line_and_no_import_machinery(tmp_path: Path) -> None:
    heard = told(tmp_path, "def f(:")
    assert files(heard.traceback) == ["failing_net.py"] and "def f(:" in heard.traceback


def test_a_refusal_of_the_engine_has_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "failing_net.py").write_text("def Net(): return 5")
    with pytest.raises(EngineError) as caught:
        opening.open_model(Open(id=1, spec=f"{tmp_path}/failing_net.py:Net"))
    assert failure(1, caught.value).traceback == ""


def test_a_mistake_of_the_engine_is_told_with_all_its_frames() -> None:
    try:
        opening.open_model(None)  # type: ignore[arg-type]
    except AttributeError as error:
        heard = failure(1, error)
    assert heard.kind == "internal" and "opening.py" in files(heard.traceback)


def test_a_message_of_megabytes_is_told_by_its_ends(tmp_path: Path) -> None:
    heard = told(tmp_path, "raise ValueError('a' * 3_000_000 + ' the end')")
    assert len(heard.message) < MAX_SENTENCE + 10
    assert (
        heard.message.startswith("Net could not be built: ValueError: aaa")
        and "the end (failing_net.py:8)" in heard.message
    )
    assert heard.traceback.endswith("the end\n") and len(heard.traceback) <= 200_000


def test_an_exception_that_cannot_be_shown_is_named() -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert said(Shy()) == "Shy (its message cannot be shown: RuntimeError)"
    assert failure(1, Shy()).type == "Shy"
