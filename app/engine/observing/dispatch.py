"""The dispatch mode of an observed forward: sees every operator, passes it on unchanged, and tells who wants to know.

It leaves fused paths on (a ``TorchFunctionMode`` would not), and outputs are those of a bare run bit for bit.
Under ``inference_mode`` composite operators arrive whole; those that are known to be opened without changing a bit
are opened, so that the draw inside is seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from modelight.engine.observing.composites import DROPPING, as_without_mode, is_composite
from modelight.engine.observing.masks import MaskRecorder
from modelight.engine.observing.memory import Memory
from modelight.engine.observing.uniform import bounds, keep_of
from modelight.engine.observing.writes import announce, written_arguments
from modelight.protocol import Clause

aten = torch.ops.aten
NormListener = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]

_FUSED: dict[str, str] = {
    "aten::_scaled_dot_product_flash_attention": "dropout_p",
    "aten::_scaled_dot_product_efficient_attention": "dropout_p",
    "aten::_scaled_dot_product_cudnn_attention": "dropout_p",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "dropout_p",
    "aten::_cudnn_rnn": "dropout",
    "aten::miopen_rnn": "dropout",
    "aten::lstm": "dropout",
    "aten::gru": "dropout",
    "aten::rnn_tanh": "dropout",
    "aten::rnn_relu": "dropout",
}
"""Kernels that draw where nobody sees it, and the argument that says how much."""


@cache
def _argument(func: OpOverload, name: str) -> int | None:
    names = [argument.name for argument in func._schema.arguments]
    return names.index(name) if name in names else None


def _value(func: OpOverload, name: str, args: Any, kwargs: Any) -> Any:
    """The value of one argument of a call, its default included."""
    index = _argument(func, name)
    if index is None:
        return None
    if index < len(args):
        return args[index]
    return kwargs.get(name, func._schema.arguments[index].default_value)


def make_watch(masks: MaskRecorder, memory: Memory, on_norm: NormListener, *, has_compiled: bool = False) -> Watch:
    """A mode for one forward.

    Args:
        has_compiled: whether parts of the model are compiled. Under the mode these run as they were written, so that
            what is inside is seen.
    """
    kind: type[Watch] = HiddenWatch if "torch._dynamo" in sys.modules else Watch
    if "torch.nn.attention.flex_attention" in sys.modules and not has_compiled:
        kind = CompilingWatch
    return kind(masks, memory, on_norm)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Active during one forward. Made by :func:`make_watch`."""

    supports_higher_order_operators = True
    """FlexAttention and control flow reach it as one call, which is passed on."""

    def __init__(self, masks: MaskRecorder, memory: Memory, on_norm: NormListener) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._masks = masks
        self._memory = memory if memory.waits_for_writes else None
        self._on_norm = on_norm
        self._handlers: dict[Any, Callable[..., Any] | None] = {}
        self.operators = 0
        """How many went by: where none did, nothing was written."""
        self.rectified = (0, 0)
        """The ``id`` of what the last ``relu_`` wrote to, and the count of operators with it."""

    def dispatch(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What torch calls for every operator."""
        kwargs = kwargs or {}
        self.operators += 1
        try:
            handler = self._handlers[func]
        except KeyError:
            handler = self._handlers[func] = self._handler(func)
        if self._masks.is_waiting:
            return self._follow(func, handler, args, kwargs)
        return func(*args, **kwargs) if handler is None else handler(func, args, kwargs)

    def close(self) -> None:
        """Let go of everything: handlers are methods of this object, and it holds on to the run's copies."""
        self._handlers.clear()

    def _handler(self, func: Any) -> Callable[..., Any] | None:
        """Who wants to know of this operator; None for nearly all."""
        if not isinstance(func, OpOverload):
            return None
        name = func._schema.name
        special: dict[str, Callable[..., Any]] = {
            "aten::bernoulli_": self._bernoulli,
            "aten::bernoulli": self._bernoulli,
            "aten::native_dropout": self._native_dropout,
            "aten::native_batch_norm": self._batch_norm,
            "aten::_native_batch_norm_legit": self._batch_norm,
            "aten::zeros": self._zeros,
            "aten::relu_": self._relu,
            "aten::rand": self._uniform,
            "aten::rand_like": self._uniform,
            "aten::uniform_": self._uniform,
        }
        found = special.get(name)
        if name in DROPPING:
            found = self._open
        elif name in _FUSED:
            found = self._fused
        if found is None and self._memory is not None and written_arguments(func):
            found = self._plain
        if found is None and is_composite(func):
            found = self._composite
        return found

    def _plain(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        if self._memory is not None:
            announce(self._memory, func, args, kwargs)
        return self._composite(func, args, kwargs) if is_composite(func) else func(*args, **kwargs)

    def _follow(self, func: Any, handler: Callable[..., Any] | None, args: Any, kwargs: Any) -> Any:
        """Some noise was drawn just now: is this the multiplication that applies it?"""
        met = None
        if func in (aten.mul.Tensor, aten.mul_.Tensor):
            met = self._masks.multiplying(args[0], args[1])
        elif func in (aten.masked_fill.Scalar, aten.masked_fill_.Scalar) and args[2] == 0:
            met = self._masks.filling(args[0], args[1])
        result = func(*args, **kwargs) if handler is None else handler(func, args, kwargs)
        if met is not None:
            self._masks.applied(met, result)
        self._masks.follow(func, args, result)
        return result

    # ------------------------------------------------------------------------------------------------------- draws

    def _bernoulli(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        result = self._plain(func, args, kwargs)
        self._masks.drawn(result, keep_of(_value(func, "p", args, kwargs), args[0]), "bernoulli_")
        return result

    def _uniform(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        result = self._plain(func, args, kwargs)
        name = func._schema.name.removeprefix("aten::")
        low, high = bounds(args, kwargs) if name == "uniform_" else (0.0, 1.0)
        self._masks.drew_uniform(result, name, low, high)
        return result

    def _native_dropout(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        p, train = args[1], args[2]
        if train is not False and p > 0:
            self._masks.masked(result[1], args[0], p, "native_dropout")
        return result

    def _relu(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        self.rectified = id(args[0]), self.operators
        return self._plain(func, args, kwargs)

    def _zeros(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        result = self._plain(func, args, kwargs)
        if not args[0]:
            self._masks.whole(result, "zeros")
        return result

    def _fused(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        p = _value(func, _FUSED[func._schema.name], args, kwargs)
        train = _value(func, "train", args, kwargs)
        if p and train is not False:
            self._masks.hidden(func._schema.name.removeprefix("aten::"), float(p), Clause("fused-kernel"))
        return self._plain(func, args, kwargs)

    # ------------------------------------------------------------------------------------------- composites, opened

    def _open(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        train = _value(func, "train", args, kwargs)
        if train is False or not _value(func, DROPPING[func._schema.name], args, kwargs):
            return self._plain(func, args, kwargs)
        return as_without_mode(func, lambda: self._decompose(func, args, kwargs))

    def _decompose(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        # Not func.decompose(): for dropout that takes a Python decomposition, which at p = 1 draws where torch does not
        # and rounds bfloat16 otherwise.
        with self:
            return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)

    def _composite(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        return as_without_mode(func, lambda: func(*args, **kwargs))

    # ------------------------------------------------------------------------------------------------------- norms

    def _batch_norm(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        result = self._plain(func, args, kwargs)
        if _value(func, "training", args, kwargs):
            self._on_norm(args[0], result[1], result[2])
        return result


class HiddenWatch(Watch):  # type: ignore[no-untyped-call]
    """The mode where torch's compiler has been imported.

    Torch hides a ``__torch_dispatch__`` that stands in a class from the compiler (``torch._disable_dynamo``), and
    imports it for that: two seconds and 800 modules in the middle of the model's first forward. Where nobody has
    imported the compiler there is nothing to hide from.
    """

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self.dispatch(func, types, args, kwargs)


class CompilingWatch(HiddenWatch):  # type: ignore[no-untyped-call]
    """The mode under which torch's compiler works as it does without: FlexAttention asks it even where nobody
    compiles, and takes no refusal."""

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        return True


# Set when the class is made already, torch does not see it.
Watch.__torch_dispatch__ = Watch.dispatch  # type: ignore[method-assign, assignment]
