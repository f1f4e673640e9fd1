"""Commands without a window. Here alone the engine is imported into the command's own process: there is no window to
protect."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from modelight.protocol import Noise, Open
from modelight.setup import Setup

if TYPE_CHECKING:
    from modelight.engine.check import CheckReport

CANNOT_LOOK = 2


def check_command(setup: Setup, allow: list[str], json: bool) -> int:
    """``modelight check``: print what is remarkable; 0 clean, 1 a finding of severity warning or worse, 2 could not
    look."""
    from modelight.engine.errors import EngineError
    from modelight.engine.failures import failure

    try:
        waived = [*allow, *allowed_in(Path.cwd())]
        report = _checked(setup, waived)
    except EngineError as error:
        told = failure(0, error)
        print(told.message, file=sys.stderr)  # noqa: T201
        if told.traceback and error.__cause__ is not None:
            print(told.traceback, file=sys.stderr)  # noqa: T201
        return CANNOT_LOOK
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return CANNOT_LOOK
    print(report.json() if json else report.text())  # noqa: T201
    return report.status


def _checked(setup: Setup, allow: list[str]) -> CheckReport:
    from modelight.engine import check
    from modelight.engine.loading import inputs, opening

    command = Open(
        id=0,
        spec=setup.spec,
        checkpoint=setup.checkpoint,
        directory=setup.directory,
        device=setup.device,
        seed=setup.build_seed,
        trust=setup.trust,
        key=setup.key,
    )
    model = opening.open_model(command)
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
    )


def allowed_in(folder: Path) -> list[str]:
    """Ids waived by ``[tool.modelight] allow = [...]`` in the ``pyproject.toml`` of ``folder`` or the nearest above it.

    Raises:
        ValueError: the table is there but no list of ids; the message says what to write.
    """
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                allow = (
                    tomllib.loads(file.read_text(encoding="utf-8"))
                    .get("tool", {})
                    .get("modelight", {})
                    .get("allow", [])
                )
            except tomllib.TOMLDecodeError as error:
                raise ValueError(f"{file} is no TOML: {error}") from error
            if not isinstance(allow, list) or not all(isinstance(item, str) for item in allow):
                raise ValueError(f'{file}: write [tool.modelight] allow = ["ML130"], a list of finding ids.')
            return allow
    return []
