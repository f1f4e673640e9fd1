"""What is remarkable about how a model is built: where train() and eval() do more or less than one thinks."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.jit._trace import TracedModule
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from modelight.engine.loading import baked
from modelight.engine.loading.baked import Baked
from modelight.engine.modules import flag
from modelight.engine.modules.code import for_each_class
from modelight.protocol import Clause, Value

if TYPE_CHECKING:
    from modelight.engine.modules.rows import Rows

_SHOWN = 8
"""At most so many paths are listed in one note."""

_HARMLESS = {("transformers.modeling_utils", "PreTrainedModel"): "use_kernels"}
"""Classes whose train() writes flags and does nothing else unless this attribute is set."""

_WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "DeepSpeedEngine")


def notes(rows: Rows) -> dict[str, list[Clause]]:
    """Notes by path, for the rows that have any.

    ``overrides-train``, ``overrides-eval`` {source}; ``unregistered`` {attribute, count, at}; ``training-property``;
    ``script``, ``traced-script``, ``traced-in-train``, ``traced-in-eval``, ``frozen-script`` {name};
    ``compiled``, ``compiled-call``; ``wrapper`` {type};
    ``parametrized``, ``weight-hook`` {tensors}; ``lazy``; ``shared`` {paths, count}; ``holds-itself`` {path};
    ``rows-cut`` {count}.
    """
    found: dict[str, list[Clause]] = {}
    for index, (path, module) in enumerate(zip(rows.paths, rows.modules, strict=True)):
        clauses = [*_overrides(module), *of_class(type(module)), *_of_module(module), *_of_place(rows, index)]
        if clauses:
            found[path] = clauses
    for path, clause in _unregistered(rows):
        found.setdefault(path, []).append(clause)
    if rows.skeleton.cut:
        found.setdefault("", []).append(Clause("rows-cut", {"count": len(rows.modules)}))
    return found


def overridden(module: nn.Module) -> str | None:
    """``file:line`` of this module's train() or eval() that is not torch's own and may do more than write flags."""
    return next((str(clause.values["source"]) for clause in _overrides(module)), None)


@for_each_class
def of_class(kind: type) -> list[Clause]:
    """The notes that hold for every module of a class."""
    if _is_compile_wrapper(kind):
        return [Clause("compiled")]
    found = []
    if flag.flag_is_property(kind):
        found.append(Clause("training-property"))
    if any(base.__name__ in _WRAPPERS for base in kind.__mro__):
        found.append(Clause("wrapper", {"type": kind.__name__}))
    return found


def _overrides(module: nn.Module) -> list[Clause]:
    own, bases = module.__dict__, _overriding_bases(type(module))
    if not bases and "train" not in own and "eval" not in own:
        return []
    found = [Clause(f"overrides-{name}", {"source": _source(own[name])}) for name in ("train", "eval") if name in own]
    for name, owner in bases.items():
        setting = _HARMLESS.get((owner.__module__, owner.__qualname__))
        if setting is None or getattr(module, setting, True):
            found.append(Clause(f"overrides-{name}", {"source": _source(owner.__dict__[name])}))
    return found


@for_each_class
def _overriding_bases(kind: type) -> dict[str, type]:
    """Which of train() and eval() are not nn.Module's, with the class that defines them."""
    found = {}
    for name in ("train", "eval"):
        owner = next((base for base in kind.__mro__ if name in base.__dict__), nn.Module)
        # torch.nn's own overrides (DistributedDataParallel's) only call super().
        if not owner.__module__.startswith("torch.nn.") and not issubclass(kind, torch.jit.ScriptModule):
            found[name] = owner
    return found


def _source(method: Any) -> str:
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "–"


def is_compiled(module: nn.Module) -> bool:
    """Whether calls of this module run compiled code: ``torch.compile(module)`` or ``module.compile()``."""
    if isinstance(module, torch.jit.ScriptModule):
        return False
    return _is_compile_wrapper(type(module)) or module._compiled_call_impl is not None


def _is_compile_wrapper(kind: type) -> bool:
    return any(
        base.__name__ == "OptimizedModule" and base.__module__.startswith("torch._dynamo") for base in kind.__mro__
    )


def _of_module(module: nn.Module) -> Iterator[Clause]:
    if isinstance(module, torch.jit.ScriptModule):
        yield _script(module)
        return
    if module._compiled_call_impl is not None:
        yield Clause("compiled-call")
    if parametrize.is_parametrized(module):
        yield Clause("parametrized", {"tensors": _names(module.get_submodule("parametrizations")._modules)})
    hooked = [getattr(hook, "name", "") for hook in module._forward_pre_hooks.values() if _is_weight_hook(hook)]
    if hooked:
        yield Clause("weight-hook", {"tensors": _names(hooked)})
    if any(
        tensor is not None and is_lazy(tensor) for tensor in (*module._parameters.values(), *module._buffers.values())
    ):
        yield Clause("lazy")


def _names(names: Any) -> list[str | float]:
    return list(names)


def _is_weight_hook(hook: Callable[..., Any]) -> bool:
    # The old weight_norm and spectral_norm: a hook of torch's that makes the weight anew before each forward.
    return type(hook).__module__.startswith("torch.nn.utils.") and hasattr(hook, "name")


def _script(module: torch.jit.ScriptModule) -> Clause:
    values: dict[str, Value] = {"name": str(getattr(module, "original_name", type(module).__name__))}
    if flag.read(module) is None:
        return Clause("frozen-script", values)
    modes = baked.of_one(module)
    if modes != Baked() and not baked.reads_training(module):
        # A trace, also one that was saved and loaded: torch no longer tells that from a script.
        return Clause("traced-in-train" if modes.train else "traced-in-eval", values)
    return Clause("traced-script" if isinstance(module, TracedModule) else "script", values)


def _of_place(rows: Rows, index: int) -> Iterator[Clause]:
    above = rows.skeleton.cycles.get(index)
    if above is not None:
        yield Clause("holds-itself", {"path": rows.paths[above]})
    places = rows.places(rows.modules[index])
    if len(places) > 1:
        others = [rows.paths[place] for place in places[: _SHOWN + 1] if place != index]
        yield Clause("shared", {"paths": _names(others[:_SHOWN]), "count": len(places)})


def _unregistered(rows: Rows) -> Iterator[tuple[str, Clause]]:
    """A note at every row that shows an owner, for each attribute that holds unregistered modules."""
    counts: Counter[tuple[int, str]] = Counter()
    where: dict[tuple[int, str], list[str | float]] = {}
    for item in rows.hidden:
        counts[item.owner, item.attribute] += 1
        where.setdefault((item.owner, item.attribute), []).append(item.where)
    for (owner, attribute), count in counts.items():
        at = where[owner, attribute][:_SHOWN]
        for place in rows.places(rows.modules[owner]):
            yield rows.paths[place], Clause("unregistered", {"attribute": attribute, "count": count, "at": at})
