"""TorchScript files are programs: what would run while one is read, and which mode was baked into its graphs."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading.torchfiles import Trust, ask_unless_agreed, digest, first_line, refuse

MAX_CODE = 256 * 1024 * 1024
_EFFECTS = re.compile(rb"\b(__setstate__|save|from_file|load_tensor)\b")
"""``__setstate__`` runs while the file is read. Of the operators that torch offers to scripts, the others take the name
of a file, to write or to read it. Plain words, since the language allows spaces and lines between its signs."""
_CLASS = re.compile(rb"^class\s+(\w+)", re.MULTILINE)


def load(path: Path, trust: Trust) -> torch.jit.ScriptModule:
    """The module in a file, on the CPU.

    Raises:
        EngineError: kind ``consent`` for a script that runs code of its own while it is read, or that writes or maps
            files; ``checkpoint`` for a broken one; ``memory``.
    """
    try:
        data = path.read_bytes()  # once: what was looked through is what is loaded
        if trust is not True:
            named = effects(data)
            if named:
                ask_unless_agreed(path, named, digest(io.BytesIO(data)), trust)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit itself
            return torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call,no-any-return]
    except EngineError:
        raise
    except MemoryError as error:
        raise EngineError(f"{path.name} does not fit into memory.", kind="memory") from error
    except Exception as error:
        raise refuse(f"{path.name} is TorchScript, but torch cannot load it: {first_line(error)}") from error


def effects(data: bytes) -> list[str]:
    """What the code in a file defines or mentions of :data:`_EFFECTS`."""
    # torch's own reader, so that no entry is one thing here and another there. It finds names in any case.
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    found: dict[str, None] = {}
    for name in reader.get_all_records():
        if not name.lower().endswith(".py"):
            continue
        code = reader.get_record(name)
        if len(code) > MAX_CODE:
            raise ValueError(f"{name} is too large for code")
        for match in _EFFECTS.finditer(code):
            found[_where(name, code, match)] = None
    return list(found)


def _where(name: str, code: bytes, match: re.Match[bytes]) -> str:
    word = match[0].decode()
    if word != "__setstate__":
        return f"torch.{word}"
    classes = [found[1].decode() for found in _CLASS.finditer(code, 0, match.start())]
    module = name.removeprefix("code/").removesuffix(".py").replace("/", ".")
    return ".".join([module, *classes[-1:], word])
