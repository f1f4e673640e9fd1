"""Dropouts that drop nothing now and are no layer: no operator of theirs draws, so only the call itself tells.

For the length of a run ``torch.nn.functional`` and ``torch`` are given a module class of their own, on which the names
of the dropout functions are data descriptors: these win over the module's ``__dict__``, so ``F.dropout`` as the model
writes it is heard, while the dictionaries keep the functions themselves. Torch's own code, ``from … import`` statements
and code that copied a function before go past it: the first two on purpose (nothing of ours is to stay in a module that
was imported during the run), the last because it cannot be helped.
"""

from __future__ import annotations

import dis
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import PackedSequence

from modelight.engine.modules import flag
from modelight.engine.observing import origin

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


class _Signature(NamedTuple):
    """Where a dropout function takes its probability and its mode, and what they are by default."""

    called: str
    p: tuple[int, str, float | None]
    training: tuple[int, str, bool] | None = None


def _functional(default: bool) -> dict[str, Any]:
    return {"p": (1, "p", 0.5), "training": (2, "training", default)}


_FUNCTIONAL = {
    **{
        name: _Signature(f"F.{name}", **_functional(True))
        for name in ("dropout", "dropout1d", "dropout2d", "dropout3d")
    },
    **{name: _Signature(f"F.{name}", **_functional(False)) for name in ("alpha_dropout", "feature_alpha_dropout")},
    "scaled_dot_product_attention": _Signature("scaled_dot_product_attention", (4, "dropout_p", None)),
}
_TORCH = {
    name: _Signature(f"torch.{name}", (1, "p", None), (2, "train", True))
    for base in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
    for name in (base, f"{base}_")
}


class Call(NamedTuple):
    """One call that dropped nothing."""

    function: str
    p: float
    shape: tuple[int, ...] | None
    """Of what a mask would lie over: the input; of attention, its weights. None for nested tensors, which have none."""


Hear = Callable[[Call], None]
_listeners: dict[int, list[Hear]] = {}
"""Who listens, by thread."""


def _hear(signature: _Signature, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def heard(*args: Any, **kwargs: Any) -> Any:
        call = _idle(signature, args, kwargs)
        if call is not None:
            for listener in _listeners.get(threading.get_ident(), ()):
                listener(call)
        return function(*args, **kwargs)

    return heard


def _idle(signature: _Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """The call, if it drops nothing and says how much it would; None if it draws, or will fail."""
    p = _argument(signature.p, args, kwargs)
    training = signature.training is None or bool(_argument(signature.training, args, kwargs))
    if not isinstance(p, (int, float)) or not 0 <= p <= 1 or (training and p > 0):
        return None
    value = args[0] if args else kwargs.get("input", kwargs.get("query"))
    if not isinstance(value, torch.Tensor):
        return None
    return Call(signature.called, float(p), _shape(signature, value, args, kwargs))


def _argument(place: tuple[int, str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    index, name, default = place
    return args[index] if index < len(args) else kwargs.get(name, default)


def _shape(
    signature: _Signature, value: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[int, ...] | None:
    if value.is_nested:
        return None
    if signature.training is not None:
        return tuple(value.shape)
    key = args[1] if len(args) > 1 else kwargs.get("key")
    return (*value.shape[:-1], key.shape[-2]) if isinstance(key, torch.Tensor) and key.dim() > 1 else None


INNER = (torch.nn.RNNBase, torch.nn.MultiheadAttention)
"""Layers of torch with dropouts inside that are no modules."""


def inside(layer: torch.nn.Module, args: tuple[Any, ...], output: Any) -> list[Call]:
    """The dropouts within a recurrent or attention layer of torch that has returned, if its flag keeps them off.

    Between the layers of an LSTM, GRU or RNN one for each gap; on the weights of multi-head attention one.
    """
    p = getattr(layer, "dropout", None)
    if not isinstance(p, (int, float)) or not 0 < p <= 1 or flag.read(layer):
        return []
    name = type(layer).__name__
    if isinstance(layer, torch.nn.RNNBase):
        states = output[0].data if isinstance(output[0], PackedSequence) else output[0]
        return [Call(name, float(p), tuple(states.shape))] * (layer.num_layers - 1)
    if isinstance(layer, torch.nn.MultiheadAttention):
        return [Call(name, float(p), _weights(layer, args))]
    return []


def _weights(layer: torch.nn.MultiheadAttention, args: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The shape of the attention weights; None where it cannot be told: arguments given by name are not handed on."""
    if len(args) < 2 or args[0].is_nested:
        return None
    query, key = args[0], args[1]
    along = -2 if layer.batch_first or query.dim() == 2 else 0
    batch = () if query.dim() == 2 else (query.shape[0 if layer.batch_first else 1],)
    return (*batch, layer.num_heads, query.shape[along], key.shape[along])


# ------------------------------------------------------------------------------------------------------- the modules


class _Heard:
    """The data descriptor of one name."""

    def __init__(self, name: str, signature: _Signature) -> None:
        self._name = name
        self._signature = signature

    def __get__(self, module: ModuleType | None, owner: type) -> Any:
        if module is None:
            return self
        try:
            function = module.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"module {module.__name__!r} has no attribute {self._name!r}") from None
        return function if _is_past(sys._getframe(1)) else _hear(self._signature, function)

    def __set__(self, module: ModuleType, value: Any) -> None:
        module.__dict__[self._name] = value

    def __delete__(self, module: ModuleType) -> None:
        if module.__dict__.pop(self._name, None) is None:
            raise AttributeError(self._name)


def _is_past(frame: FrameType) -> bool:
    """Whether the name is looked up by code that is to be given the function itself."""
    return not _listeners or _is_quiet(frame.f_code) or frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM


@functools.lru_cache(maxsize=4096)
def _is_quiet(code: CodeType) -> bool:
    return origin.is_torch(code.co_filename)


def _kind(signatures: dict[str, _Signature]) -> type[ModuleType]:
    return type("module", (ModuleType,), {name: _Heard(name, signature) for name, signature in signatures.items()})


_KINDS: tuple[tuple[ModuleType, type[ModuleType]], ...] = ((F, _kind(_FUNCTIONAL)), (torch, _kind(_TORCH)))
_lock = threading.Lock()


@contextmanager
def idle_calls(listener: Hear) -> Iterator[None]:
    """Tell ``listener`` of every call of a dropout function in this thread that drops nothing.

    A module whose class somebody else has changed is left alone.
    """
    thread = threading.get_ident()
    with _lock:
        for module, kind in _KINDS:
            if type(module) is ModuleType:
                module.__class__ = kind
        _listeners.setdefault(thread, []).append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners[thread].remove(listener)
            if not _listeners[thread]:
                del _listeners[thread]
            if not _listeners:
                for module, kind in _KINDS:
                    if type(module) is kind:
                        module.__class__ = ModuleType
