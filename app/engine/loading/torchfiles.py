"""Files that ``torch.save`` wrote: weights alone are read as they are; code in them runs only after a person agreed."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

import torch

from modelight.engine.errors import EngineError
from modelight.engine.loading import mapped, pickles, standins
from modelight.protocol import Clause

Trust = bool | Collection[str]
"""True: whatever the file holds is trusted. SHA-256 of files: a person agreed to what these very bytes would run."""
SAFE_SINCE = (2, 6)
"""Before torch 2.6 a crafted file could run code in spite of ``weights_only`` (CVE-2025-32434)."""
MAX_NAMED = 12
_NEVER_WEIGHTS_ONLY = ("Unsupported operand", "legacy .tar format")
"""How torch words its refusal of newer pickle protocols and of files from before 0.4, whatever they hold."""
_BROKEN = (
    pickles.UnreadablePickle,
    zipfile.BadZipFile,
    tarfile.TarError,
    OSError,
    KeyError,
    ValueError,
    EOFError,
    StopIteration,
    NotImplementedError,
    RuntimeError,
)
_MODULES = ("torch.nn.modules.", "torch.nn.parallel.")


def refuse(message: str) -> EngineError:
    """An error of kind ``checkpoint``."""
    return EngineError(message, kind="checkpoint")


def load(path: Path, trust: Trust, globals_of: Callable[[IO[bytes]], list[str]], *, mmap: bool = False) -> Any:
    """What the file holds, on the CPU; ``globals_of`` lists what its pickles refer to.

    Args:
        mmap: leave the tensors' values on the disk. Only for a zip file whose entries are stored as they are: torch
            maps compressed ones without unpacking them.

    Raises:
        EngineError: kind ``checkpoint``, ``memory``, or ``consent``: only a full unpickle could read it, and ``trust``
            does not cover it.
    """
    _check_torch(path, trust)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(standins.PAIRS), mapped.torch_maps_so():
            warnings.simplefilter("ignore")  # torch warns of its own internals while it reads old files
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)
    except MemoryError as error:
        raise EngineError(f"{path.name} does not fit into memory.", kind="memory") from error
    except Exception as error:
        refusal = error
    # One handle from here on: what was listed, hashed and agreed to is unpickled, whatever takes the file's place.
    with path.open("rb") as stream:
        refused = _refused(path, stream, globals_of, refusal)
        if not refused and "can't allocate memory" in str(refusal):
            raise EngineError(
                f"{path.name} asks for more memory than there is: it is too large for this machine, or broken.",
                kind="memory",
            ) from refusal
        if not refused:
            words = first_line(refusal)
            raise refuse(f"{path.name} is broken, was cut short, or is not a checkpoint: {words}") from refusal
        if trust is not True:
            ask_unless_agreed(path, refused, digest(stream), trust, refusal)
        stream.seek(0)
        return _unpickle(path, stream)


def zip_globals(stream: IO[bytes]) -> list[str]:
    """What the pickle in a zip refers to; torch's own reader says which of the entries that is."""
    return pickles.globals_of(torch._C.PyTorchFileReader(stream).get_record("data.pkl"))


def legacy_globals(stream: IO[bytes]) -> list[str]:
    """The same for a file of torch before 1.6: magic number, protocol, system, content and storage keys in a row.

    A plain pickle, which ends after its first, is read the same way.
    """
    return pickles.globals_of_sequence(stream)


def tar_globals(stream: IO[bytes]) -> list[str]:
    """The same for a file of torch before 0.4: a tar archive of pickles."""
    names: dict[str, None] = {}
    with tarfile.open(fileobj=stream) as archive:
        for member in archive.getmembers():
            held = archive.extractfile(member) if member.isfile() else None
            if held is not None:
                names.update(dict.fromkeys(pickles.globals_of_sequence(held, whole=1)))
    return list(names)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _check_torch(path: Path, trust: Trust) -> None:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version >= SAFE_SINCE or trust is True:
        return
    with path.open("rb") as stream:
        if not trust or digest(stream) not in trust:
            raise refuse(
                f"torch {torch.__version__} cannot read {path.name} safely: before 2.6 a crafted file could run code. "
                "Use torch 2.6 or later, or a .safetensors file."
            )


def _refused(
    path: Path, stream: IO[bytes], globals_of: Callable[[IO[bytes]], list[str]], error: Exception
) -> list[str]:
    """What made torch refuse the file; empty if it is not what the file refers to."""
    try:
        names = globals_of(stream)
    except _BROKEN:
        raise refuse(f"{path.name} is broken or was cut short: {first_line(error)}") from error
    refused = [name for name in names if not _is_known(name)]
    if not refused and any(words in str(error) for words in _NEVER_WEIGHTS_ONLY):
        return names
    return refused


def _is_known(name: str) -> bool:
    """Whether the global is accepted without consent: then it is not what made torch refuse the file."""
    from torch import _weights_only_unpickler as unpickler

    name = name.replace("__builtin__.xrange", "builtins.range").replace("__builtin__.", "builtins.")
    return name in standins.NAMES or name in unpickler._get_allowed_globals()


def ask_unless_agreed(
    path: Path, named: list[str], sha256: str, trust: Collection[str] | bool, cause: Exception | None = None
) -> None:
    """Ask for consent to run what the file names, unless ``trust`` covers its bytes.

    Raises:
        EngineError: kind ``consent``; its clause has the names, and the hash under which the answer can be remembered.
    """
    if trust is not True and not (trust and sha256 in trust):
        raise _consent(path, named, sha256) from cause


def _consent(path: Path, refused: list[str], sha256: str) -> EngineError:
    shown = ", ".join(refused[:MAX_NAMED]) + (" …" if len(refused) > MAX_NAMED else "")
    whole = any(name.startswith(_MODULES) for name in refused)
    what = "holds a whole pickled model" if whole else "is not weights alone"
    message = (
        f"{path.name} {what}: reading it would run code of its author ({shown}). "
        "Save the state dict instead, or allow it if you trust where the file came from."
    )
    values: dict[str, Any] = {"file": path.name, "globals": list(refused), "count": len(refused), "sha256": sha256}
    clause = Clause("checkpoint-consent-model" if whole else "checkpoint-consent", values)
    return EngineError(message, kind="consent", clause=clause)


def digest(stream: IO[bytes]) -> str:
    """SHA-256 of the whole stream, so that consent can be remembered for this very file."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _unpickle(path: Path, stream: IO[bytes]) -> Any:
    """The full unpickle, after consent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _torch_or_plain(stream)
    except ModuleNotFoundError as error:
        raise refuse(
            f"{path.name} needs the module “{error.name}”, which is not installed here: it was saved with its code."
        ) from error
    except AttributeError as error:
        raise refuse(f"{path.name} refers to code that is not there any more: {error}.") from error
    except MemoryError as error:
        raise EngineError(f"{path.name} does not fit into memory.", kind="memory") from error
    except (Exception, SystemExit) as error:
        raise refuse(f"{path.name} could not be read: {type(error).__name__}: {first_line(error)}") from error


def _torch_or_plain(stream: IO[bytes]) -> Any:
    try:
        return torch.load(stream, map_location="cpu", weights_only=False)
    except RuntimeError as error:
        if "Invalid magic number" not in str(error):
            raise
    stream.seek(0)  # written with pickle itself, as Detectron does
    return pickle.load(stream, encoding="latin1")
