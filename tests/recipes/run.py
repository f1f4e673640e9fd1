"""Follow recipes of docs/open-my-model.md in a process of their own: ``run.py RECIPES.json RESULTS.json``.

One process for all of them, since most of the time goes into importing torch. ``open`` is carried out as ``check``,
which opens and runs the model in the same way, without a window.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    declare_operators()
    results = {}
    for title, recipe in json.loads(Path(sys.argv[1]).read_text()).items():
        os.chdir(recipe["folder"])
        results[title] = follow(recipe)
    Path(sys.argv[2]).write_text(json.dumps(results))


def declare_operators() -> None:
    """torchvision built for another torch lacks its compiled operators; models need only their names."""
    if importlib.util.find_spec("torchvision") is None:
        return
    import torch

    global fragment
    fragment = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # where they are there, nothing is to be declared
            fragment.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def follow(recipe: dict[str, Any]) -> dict[str, Any]:
    try:
        script(Path("train.py"))
    except Exception:
        return {"error": traceback.format_exc()}
    return {"commands": [command(line) for line in recipe["commands"]]}


def script(file: Path) -> None:
    for name in ("nets", "lit"):  # every recipe has a file of its own by one of these names
        sys.modules.pop(name, None)
    if file.exists():
        sys.path.insert(0, str(Path.cwd()))
        try:
            exec(compile(file.read_text(), str(file), "exec"), {"__name__": "__main__"})
        finally:
            sys.path.remove(str(Path.cwd()))
            for name in ("nets", "lit"):
                sys.modules.pop(name, None)


def command(line: str) -> dict[str, Any]:
    from modelight.cli import app

    words = shlex.split(line, comments=True)[1:]
    if words[0] == "open":
        words[0] = "check"
    with captured() as said:
        try:
            status = app(words, standalone_mode=False) or 0
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            status = 99
    return {"line": line, "status": status, "out": said[0], "err": said[1], **gaps(words)}


@contextlib.contextmanager
def captured() -> Iterator[list[str]]:
    """What is written to the descriptors 1 and 2 meanwhile: ``check`` takes stdout for itself, as a process may."""
    said: list[str] = []
    real, streams = (os.dup(1), os.dup(2)), (sys.stdout, sys.stderr)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            with os.fdopen(os.dup(1), "w") as sys.stdout, os.fdopen(os.dup(2), "w") as sys.stderr:
                yield said
        finally:
            sys.stdout, sys.stderr = streams
            for number, kept in enumerate(real, start=1):
                os.dup2(kept, number)
                os.close(kept)
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode())


def gaps(words: list[str]) -> dict[str, Any]:
    """What the load report of ``check`` would not print: keys without a place."""
    from modelight.engine.errors import EngineError
    from modelight.engine.loading.opening import open_model
    from modelight.protocol import Open

    if words[0] != "check" or len(words) < 3 or words[2].startswith("-"):
        return {}
    flags = {"align": "--align" in words, "partial": "--partial" in words}
    key = words[words.index("--key") + 1] if "--key" in words else ""
    try:
        model = open_model(Open(id=1, spec=words[1], checkpoint=words[2], directory=".", key=key, **flags))
    except EngineError as error:
        return {"refusal": str(error)}
    report = model.report
    assert report is not None
    return {"loaded": report.loaded, "missing": report.missing, "mismatched": len(report.mismatched)}


if __name__ == "__main__":
    main()
