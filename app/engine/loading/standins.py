"""Inert stand-ins for what training scripts leave beside the weights: metrics as numpy scalars, arguments, paths.

torch's weights_only refuses a whole file for one ``np.float64`` in it. While a file is read, the names below stand for
the classes here, which hold what they are given and do nothing: neither numpy nor any other code that the file names is
called. Numbers and arrays are made afterwards from the bytes that were held. Everything else that is not plain weights
still needs consent.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMBERS = re.compile(r"[biufc]\d{1,2}")


class StandIn:
    """Takes any arguments and any state, and keeps them."""

    args: tuple[Any, ...] = ()
    """What it was called with."""
    state: Any = None
    """What it was told afterwards; the same as :attr:`args` where that was nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        made = super().__new__(cls)
        made.args = made.state = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The arguments are kept by ``__new__``: pickles call it alone."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Dtype(StandIn):
    """``numpy.dtype``"""


class Scalar(StandIn):
    """One number of numpy: a dtype and its bytes."""


class Array(StandIn):
    """An array of numpy: version, shape, dtype, whether columns come first, bytes."""


class Moment(StandIn):
    """``datetime.datetime``: ten bytes."""


class Unshaped(StandIn):
    """A parameter or buffer of a lazy layer that never ran: it has no shape yet."""


class Nested(StandIn):
    """In place of a nested tensor, which has no shape either."""


def empty_dict(*_: Any) -> dict[Any, Any]:
    """For a ``defaultdict``: its factory is dropped, its items follow."""
    return {}


def empty_bytes(*_: Any) -> bytes:
    """For ``bytes()``, as older protocols write an array without elements; a size that it asks for is not heeded."""
    return b""


def array_of(value: Any) -> np.ndarray[Any, Any] | None:
    """The numbers in an :class:`Array`, in this machine's byte order; None for anything else, objects and texts say."""
    if not isinstance(value, Array) or not isinstance(value.state, tuple) or len(value.state) != 5:
        return None
    _, shape, dtype, columns_first, data = value.state
    kind = _dtype(dtype)
    if kind is None or not isinstance(data, bytes) or not isinstance(shape, tuple):
        return None
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) * kind.itemsize != len(data):
        return None
    found = np.frombuffer(data, kind).reshape(shape, order="F" if columns_first else "C")
    return found.astype(kind.newbyteorder("="), order="C")


def plain(value: Any) -> Any:
    """The number in a :class:`Scalar` and the text of a :class:`Moment`; anything else as it is."""
    if isinstance(value, Scalar) and len(value.args) == 2 and isinstance(value.args[1], bytes):
        kind = _dtype(value.args[0])
        if kind is not None and kind.itemsize == len(value.args[1]):
            return np.frombuffer(value.args[1], kind)[0].item()
    if isinstance(value, Moment) and value.args and isinstance(value.args[0], bytes):
        try:
            return str(datetime.datetime(value.args[0]))  # type: ignore[call-arg,arg-type]
        except (TypeError, ValueError):
            return value
    return value


def _dtype(value: Any) -> np.dtype[Any] | None:
    """A dtype of numbers, as its pickle says it: ``f4``, and ``<`` or ``>`` among its state."""
    if not isinstance(value, Dtype) or not value.args or not isinstance(value.args[0], str):
        return None
    order: Any = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "|"
    if not _NUMBERS.fullmatch(value.args[0]) or order not in ("<", ">", "|", "="):
        return None
    try:
        return np.dtype(value.args[0]).newbyteorder(order)
    except TypeError:
        return None


_PATHS = tuple(
    f"{module}.{name}"
    for module in ("pathlib", "pathlib._local")  # as Python 3.13 names it
    for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
)
_INERT: dict[type[StandIn], tuple[str, ...]] = {
    Scalar: ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
    Array: ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    Dtype: ("numpy.dtype",),
    Moment: ("datetime.datetime",),
    Unshaped: ("torch.nn.parameter.UninitializedParameter", "torch.nn.parameter.UninitializedBuffer"),
    StandIn: (
        "numpy.ndarray",
        "argparse.Namespace",
        "types.SimpleNamespace",
        *_PATHS,
        "datetime.timedelta",
        "builtins.slice",
        "builtins.range",
        "builtins.complex",
        "builtins.list",
        "builtins.tuple",
        "builtins.int",
        "builtins.float",
        "builtins.str",
    ),
}
_DICTS = (
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning_utilities.core.rank_zero.AttributeDict",
)

PAIRS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((kind, name) for kind, names in _INERT.items() for name in names),
    *((dict, name) for name in _DICTS),
    (empty_dict, "collections.defaultdict"),
    (empty_bytes, "builtins.bytes"),
]
"""What ``torch.serialization.safe_globals`` takes: (what to use, the name in the pickle)."""

NAMES = frozenset(
    (*(name for names in _INERT.values() for name in names), *_DICTS, "collections.defaultdict", "builtins.bytes")
)
