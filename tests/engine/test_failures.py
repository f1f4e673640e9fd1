"""Exceptions of the person's code as the window hears of them: their own frames, and nothing of the engine's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
    assert files(heard.traceback) == ["failing_net.py"]
    assert heard.traceback.endswith("the end\n") and len(heard.traceback) < 200_010


def test_an_exception_that_cannot_be_shown_is_named() -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert said(Shy()) == "Shy (its message cannot be shown: RuntimeError)"
    assert failure(1, Shy()).type == "Shy"


class Stop(BaseException):
    """What no ``except Exception`` stops."""


@pytest.mark.parametrize("error", [Stop("enough"), KeyboardInterrupt(), GeneratorExit()])
def test_what_the_persons_code_raised_past_every_handler_is_not_called_modelights_mistake(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        raise error
    heard = failure(1, caught.value)
    assert heard.kind == "build" and "internal" not in heard.message
    assert heard.message.startswith(f"The code of the model raised {type(error).__name__}")
    assert "test_failures.py:" in heard.message


def test_running_out_of_memory_is_told_as_such_on_the_host_too() -> None:
    layer = torch.nn.Linear(4, 2)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**14)
    wrapped = EngineError("The model raised RuntimeError in body.0: …", kind="run", module="body.0")
    wrapped.__cause__ = caught.value
    for heard in (failure(1, wrapped), failure(1, caught.value)):
        assert heard.kind == "memory" and "allocate 400000000000000 bytes" in heard.message
        assert "enforce fail" not in heard.message
    assert failure(1, wrapped).message.startswith("Not enough memory in body.0: ")
    assert failure(1, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")).kind == "memory"
    assert failure(1, MemoryError()).message == "Not enough memory."
    with pytest.raises(RuntimeError) as other:
        layer(torch.ones(3))
    assert failure(1, EngineError("…", kind="run")).kind == "run" and failure(1, other.value).kind == "internal"


def test_a_sentence_that_already_tells_of_memory_stays() -> None:
    error = EngineError("The model does not fit into the memory of cuda:0.", kind="memory")
    error.__cause__ = MemoryError("words of the allocator")
    assert failure(1, error).message == "The model does not fit into the memory of cuda:0."
