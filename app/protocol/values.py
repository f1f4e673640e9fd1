"""What all messages are built of: arrays, clauses, grad modes; and what may go wrong on the way."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

VERSION = 2


MAX_MESSAGE = 256 * 1024 * 1024


GradMode = Literal["enabled", "no_grad", "inference_mode"]


Value = str | float | int | bool | None | list[str | float]


class ProtocolError(Exception):
    """The other end sent something that this end cannot read. The message is a sentence for a person."""


class Array(msgspec.Struct, frozen=True):
    """A numpy array in transit."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @staticmethod
    def of(values: np.ndarray[Any, Any]) -> Array:
        """Pack an array of a plain numeric or boolean dtype."""
        values = np.ascontiguousarray(values)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        return Array(little.dtype.str, tuple(values.shape), little.tobytes())

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array again; read-only, since it looks into the message's bytes."""
        return np.frombuffer(self.data, dtype=np.dtype(self.dtype)).reshape(self.shape)


class Clause(msgspec.Struct, frozen=True):
    """Something to say: an id that the window has a phrase for, and the figures to put in. See ``app/phrases.py``."""

    id: str
    values: dict[str, Value] = {}


def plain(text: str) -> str:
    """Text that any encoder takes: lone surrogates, as in file names that are not UTF-8, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def version_sentence(theirs: int) -> str:
    """What either end says when the other speaks another version."""
    return (
        f"The model process speaks protocol {theirs}, the window {VERSION}. "
        "Install the same version of modelight in both environments."
    )
