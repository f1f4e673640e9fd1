"""Composite operators, which reach a dispatch mode whole under ``inference_mode`` and in parts everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload

DROPPING: dict[str, str] = {
    "aten::dropout": "p",
    "aten::dropout_": "p",
    "aten::feature_dropout": "p",
    "aten::feature_dropout_": "p",
    "aten::alpha_dropout": "p",
    "aten::alpha_dropout_": "p",
    "aten::feature_alpha_dropout": "p",
    "aten::feature_alpha_dropout_": "p",
    "aten::scaled_dot_product_attention": "dropout_p",
    "aten::_scaled_dot_product_attention_math": "dropout_p",
}
"""Those that may be opened to see what they draw without changing a bit of their output, and how much they drop."""


@cache
def is_composite(func: OpOverload) -> bool:
    """Whether an operator is made of others and has no kernel of its own."""
    return _has_kernel(func, "CompositeImplicitAutograd")


def as_without_mode(func: OpOverload, call: Callable[[], Any]) -> Any:
    """Call a composite operator from within a mode as it would run without one under ``inference_mode``.

    Inside a mode's handler the key ADInplaceOrView is excluded. Then views of parameters do not require grad,
    ``matmul`` chooses another way to multiply, and ``linear`` of a transposed input differs in its last bits.

    ``chunk``, ``narrow`` and ``matmul(out=…)`` have a kernel of that key, which runs around this handler: without a
    mode it keeps the parts from going through the key a second time, and refuses views made that way.
    """
    exclude = _EXCLUDE.add(_VIEWS) if _has_kernel(func, _VIEWS.name) else _EXCLUDE
    if torch._C._is_any_autocast_enabled():
        for device, key in _AUTOCAST.items():
            # An operator that autocast knows has been cast, and autocast is off within it; the others are open to it.
            if torch.is_autocast_enabled(device) and not _has_kernel(func, key.name):
                exclude = exclude.remove(key)
    with torch._C._ForceDispatchKeyGuard(_INCLUDE, exclude):
        return call()


@cache
def _has_kernel(func: OpOverload, key: str) -> bool:
    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)  # type: ignore[no-untyped-call]
    except RuntimeError:  # ``aten::sym_size`` and the like are operators to Python and none to the dispatcher
        return False


_VIEWS = torch._C.DispatchKey.ADInplaceOrView
_AUTOCAST = {"cpu": torch._C.DispatchKey.AutocastCPU, "cuda": torch._C.DispatchKey.AutocastCUDA}
with torch.inference_mode():
    # Read once at import, while no mode is active: within a handler they are others.
    _INCLUDE = torch._C._dispatch_tls_local_include_set()
    _EXCLUDE = torch._C._dispatch_tls_local_exclude_set()
