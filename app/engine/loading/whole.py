"""MODEL as a file that holds a model whole: TorchScript, a pickled module, or a folder that transformers saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import exported, formats, sources, torchfiles
from modelight.engine.loading.paths import located
from modelight.engine.loading.torchfiles import Trust

SUFFIXES = (
    ".pt",
    ".pth",
    ".pt2",
    ".bin",
    ".ckpt",
    ".th",
    ".tar",
    ".pkl",
    ".pickle",
    ".model",
    ".jit",
    ".ts",
    ".torchscript",
)
_CONFIG = "config.json"


def find(text: str, directory: str) -> Path | None:
    """The file or folder that MODEL names, if it is one that may hold a whole model; else it is a spec."""
    try:
        path = located(text, directory)
        if path.is_dir():
            return path if (path / _CONFIG).is_file() else None
        return path if path.suffix.lower() in SUFFIXES and path.is_file() else None
    except OSError:  # a spec with long arguments is no file name
        return None


def load(path: Path, directory: str = "", trust: Trust = False) -> nn.Module:
    """The model in a file or folder, with the flags that it carries.

    Args:
        trust: allow a full unpickle, which runs the author's code, after a person agreed.

    Raises:
        EngineError: kind ``consent`` for a pickled module, ``spec`` for a file that holds weights alone, ``checkpoint``
            for a broken one, ``build`` if transformers cannot build it.
    """
    if path.is_dir():
        return _from_transformers(path)
    # Without consent no code comes from there, and none is to be found there later in place of an installed module.
    with sources.on_path(*((directory, str(path.parent)) if trust else ())):
        raw = formats.read_raw(path, trust)
    if raw.format == exported.FORMAT:
        raise EngineError(
            f"{path.name} is a program of torch.export: its mode was baked in when it was exported, so there is no "
            "flag to show or flip. Open the model that it was exported from; this file can be its checkpoint.",
            kind="spec",
        )
    found = _module_in(raw.content)
    if found is None:
        raise EngineError(
            f"{path.name} is a checkpoint, which holds weights but no code: name the model's class or function first "
            "(package.module:callable or path/file.py:callable), then the checkpoint.",
            kind="spec",
        )
    return found


def _module_in(content: Any) -> nn.Module | None:
    """The content itself, or the one module that a training script put into a dict."""
    if isinstance(content, nn.Module):
        return content
    if isinstance(content, Mapping):
        modules = [item for item in content.values() if isinstance(item, nn.Module)]
        return modules[0] if len(modules) == 1 else None
    return None


def _from_transformers(folder: Path) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise EngineError(
            f"{folder} was saved by transformers, which is not installed in this Python: install transformers.",
            kind="import",
        ) from error
    name = _architecture(folder)
    if not hasattr(transformers, name):
        raise EngineError(
            f"{folder.name} needs the class {name}, which transformers {transformers.__version__} does not have: "
            "if its code came with it, name it as path/file.py:callable.",
            kind="spec",
        )
    kind = getattr(transformers, name)
    # Other classes have a from_pretrained as well, and some of them unpickle what they find.
    if not name.startswith("AutoModel") and not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise EngineError(f"{name} of transformers is not a torch.nn.Module.", kind="build")
    try:
        # No code beside the weights is run. Where nothing is said of it, transformers asks at the keyboard.
        model = kind.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        words = torchfiles.first_line(error)
        raise EngineError(
            f"transformers could not open {folder.name}: {type(error).__name__}: {words}", kind="build"
        ) from error
    if not isinstance(model, nn.Module):
        raise EngineError(f"{name} of transformers is not a torch.nn.Module.", kind="build")
    return model


def _architecture(folder: Path) -> str:
    """The class that ``config.json`` names; ``AutoModel`` where it names none."""
    try:
        config = json.loads((folder / _CONFIG).read_text("utf-8"))
        names = config.get("architectures") or ["AutoModel"]
        return str(names[0])
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise EngineError(f"{folder / _CONFIG} is not a configuration of transformers.", kind="spec") from error
