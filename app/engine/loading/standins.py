"""Inert stand-ins for what training scripts leave beside the weights: metrics as numpy scalars, arguments, paths.

torch's weights_only refuses a whole file for one ``np.float64`` in it. While a file is read, the names below stand for
the classes here, which hold what they are given and do nothing: neither numpy nor any other code that the file names is
called. Everything else that is not plain weights still needs consent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class StandIn:
    """Takes any arguments and any state, and keeps the state."""

    state: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        made = super().__new__(cls)
        made.state = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The arguments are kept by ``__new__``: pickles call it alone."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def empty_dict(*_: Any) -> dict[Any, Any]:
    """For a ``defaultdict``: its factory is dropped, its items follow."""
    return {}


_INERT = (
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "datetime.datetime",
    "datetime.timedelta",
    "builtins.slice",
    "builtins.range",
    "builtins.complex",
    "builtins.list",
    "builtins.tuple",
    "builtins.int",
    "builtins.float",
    "builtins.str",
)
_DICTS = (
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning_utilities.core.rank_zero.AttributeDict",
)

PAIRS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((StandIn, name) for name in _INERT),
    *((dict, name) for name in _DICTS),
    (empty_dict, "collections.defaultdict"),
]
"""What ``torch.serialization.safe_globals`` takes: (what to use, the name in the pickle)."""

NAMES = frozenset((*_INERT, *_DICTS, "collections.defaultdict"))
