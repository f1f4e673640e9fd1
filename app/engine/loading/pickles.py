"""What a pickle would import, read from its opcodes without running it."""

from __future__ import annotations

import io
import pickletools
from collections import deque
from typing import IO

MAX_OPCODES = 20_000_000
MAX_PICKLES = 64
_MEMO_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_MEMO_GET = {"GET", "BINGET", "LONG_BINGET"}
_UNKNOWN = "?"
LEGACY_PICKLES = 5
"""Magic number, protocol version, system information, content and storage keys: these must be whole."""


class UnreadablePickle(Exception):
    """The bytes are not a pickle, or a broken one."""


def globals_of(pickle: bytes | IO[bytes]) -> list[str]:
    """Dotted names of everything the pickle refers to, in the order of first mention.

    ``STACK_GLOBAL`` takes module and name from the stack: they are found by following the texts that were pushed and
    memoised. A name that a hostile pickle hides from this is listed as ``?.?``, never left out.

    Raises:
        UnreadablePickle: the stream breaks off or holds no pickle.
    """
    names: dict[str, None] = {}
    memo: dict[int, str] = {}
    pushed: deque[str] = deque([_UNKNOWN, _UNKNOWN], maxlen=2)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
            if count > MAX_OPCODES:
                raise UnreadablePickle("the pickle is unreasonably long")
            if opcode.name in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                names[f"{module}.{name}"] = None
            elif opcode.name == "STACK_GLOBAL":
                names[f"{pushed[0]}.{pushed[1]}"] = None
            _follow(opcode.name, argument, pushed, memo)
    except UnreadablePickle:
        raise
    except Exception as error:  # genops raises ValueError, IndexError, struct.error … on malformed streams
        raise UnreadablePickle(str(error)) from error
    return list(names)


def _follow(opcode: str, argument: object, pushed: deque[str], memo: dict[int, str]) -> None:
    """Keep the last two pushed texts, through the memo."""
    if opcode == "MEMOIZE":
        memo[len(memo)] = pushed[-1]
    elif opcode in _MEMO_PUT and isinstance(argument, int):
        memo[argument] = pushed[-1]
    elif opcode in _MEMO_GET and isinstance(argument, int):
        pushed.append(memo.get(argument, _UNKNOWN))
    elif opcode not in ("PROTO", "FRAME"):
        pushed.append(argument if isinstance(argument, str) else _UNKNOWN)


def globals_of_sequence(stream: IO[bytes], whole: int = LEGACY_PICKLES) -> list[str]:
    """The same for pickles that follow one another in a stream, as in files older than torch 1.6.

    Reading stops where no further pickle begins: raw tensor data follows there.

    Raises:
        UnreadablePickle: one of the first ``whole`` pickles breaks off.
    """
    names: dict[str, None] = {}
    for position in range(MAX_PICKLES):
        start = stream.read(1)
        if start != b"\x80":
            break
        stream.seek(-1, io.SEEK_CUR)
        try:
            names.update(dict.fromkeys(globals_of(stream)))
        except UnreadablePickle:
            if position < whole:
                raise
            break
    return list(names)
