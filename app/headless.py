"""Commands without a window. Here alone the engine is imported into the command's own process: there is no window to
protect."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from modelight.phrases import phrase
from modelight.protocol import Noise, plain
from modelight.setup import Setup
from modelight.waivers import allowed_in

if TYPE_CHECKING:
    from modelight.engine.check import CheckReport

CANNOT_LOOK = 2


def check_command(setup: Setup, allow: list[str], json: bool) -> int:
    """``modelight check``: print what is remarkable; 0 clean, 1 a finding of severity warning or worse, 2 could not
    look. What the model itself prints goes to stderr, so that stdout holds the report alone."""
    from modelight.engine.errors import EngineError
    from modelight.engine.process.failures import failure

    out = _take_stdout()
    try:
        report = _checked(setup, [*allow, *allowed_in(Path.cwd())])
    except ValueError as error:
        return _cannot_look(str(error))
    except EngineError as error:
        told = failure(0, error)
        sentence = phrase(error.clause) if error.clause is not None else told.message
        return _cannot_look(sentence, told.traceback if error.__cause__ is not None else "")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Whatever else the model's code does, its exit status must not pass for a verdict.
        heard = failure(0, error)
        return _cannot_look(f"The check stopped at {heard.type}: {heard.message}", heard.traceback)
    if json:
        _write(sys.stderr, "\n".join(report.head()))
    _write(out, report.json() if json else report.text())
    return report.status


def _cannot_look(sentence: str, traceback: str = "") -> int:
    _write(sys.stderr, f"{traceback}\n{sentence}" if traceback else sentence)
    return CANNOT_LOOK


def _write(stream: TextIO, text: str) -> None:
    """A pipe may be of any encoding and be closed at any time; neither changes what was found."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.write(plain(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


def _take_stdout() -> TextIO:
    """The real stdout, for the report alone. From now on, what the model's Python, C code and subprocesses write to
    stdout goes to stderr: for good, since C's own buffers are written when the process ends."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started this
        return Path(os.devnull).open("w", encoding="utf-8")
    sys.stdout.flush()
    kept = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def _checked(setup: Setup, allow: list[str]) -> CheckReport:
    from modelight.engine import check
    from modelight.engine.loading import inputs, opening

    model = opening.open_model(setup.command(0))
    if setup.sources or model.example is None:
        fed, info = inputs.prepare(setup.sources or [Noise()], model, directory=setup.directory)
    else:
        fed, info = model.example
    return check.report(
        model.module,
        fed,
        info,
        name=model.name,
        checkpoint_buffers=model.checkpoint_buffers,
        grad_mode=setup.grad_mode,
        batch=setup.batch,
        seed=setup.seed,
        allow=allow,
        loaded=model.report,
    )
