"""Modules the table has no entry for: containers, whose children react, and classes of the user's."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import nn

from modelight.engine.catalog.behaviour import Behaviour, say
from modelight.engine.modules import code, flag
from modelight.protocol import Clause

NO_EFFECT = Behaviour("", False, [Clause("no-effect")], [Clause("no-effect")])
NONE_KNOWN = Behaviour("", False, [Clause("no-effect-known")], [Clause("no-effect-known")])
NOT_READABLE = Behaviour("", False, [Clause("not-known")], [Clause("not-known")])
NO_FLAG = Behaviour("", False, [Clause("no-flag")], [Clause("no-flag")])

_script_reads: WeakKeyDictionary[torch.jit.ScriptModule, bool] = WeakKeyDictionary()


def leaf(module: nn.Module) -> Behaviour:
    """A module without children that no entry knows."""
    kind = type(module)
    if code.class_reads(kind):
        reads = code.flag_reads(module)
        return _reading(reads, []) if reads else NONE_KNOWN
    return _silent(kind)


@code.for_each_class
def _silent(kind: type) -> Behaviour:
    """A class that does not read the flag."""
    if _runs_code_of_torch(kind):
        return NO_EFFECT
    return NONE_KNOWN if code.readable(kind) else NOT_READABLE


def container(module: nn.Module, below: int) -> Behaviour:
    """A module with children: ``below`` layers of its subtree, itself included, react to the mode."""
    kind = type(module)
    reads = code.flag_reads(module)
    count = below - bool(reads)
    clauses = [layers_react(count)] if count > 0 else []
    if reads:
        return _reading(reads, clauses)
    if isinstance(module, nn.TransformerEncoderLayer):
        return _encoder_layer(module, clauses or [Clause("no-effect")])
    if not clauses:
        return NO_EFFECT if _runs_code_of_torch(kind) else NONE_KNOWN
    return Behaviour("", False, clauses, clauses)


def _runs_code_of_torch(kind: type) -> bool:
    """Whether the class's forward is one of ``torch.nn``, whose every reader of the flag the table knows."""
    owner = next(base for base in kind.__mro__ if "forward" in base.__dict__)
    return owner.__module__.startswith("torch.nn.")


def layers_react(count: int) -> Clause:
    """How many layers of a container react."""
    return say("layers-react", count=count) if count != 1 else say("layer-reacts", count=1)


def script(module: torch.jit.ScriptModule) -> Behaviour:
    """A scripted module: its TorchScript says whether it reads the flag."""
    if flag.read(module) is None:
        return NO_FLAG
    reads = _script_reads.get(module)
    if reads is None:
        try:
            reads = "training" in module.code
        except Exception:  # modules without a forward have no code
            reads = False
        _script_reads[module] = reads
    clauses = [Clause("script-reads-flag" if reads else "no-effect")]
    return Behaviour("script" if reads else "", reads, clauses, clauses)


def _reading(reads: list[code.FlagLoad], clauses: list[Clause]) -> Behaviour:
    dropouts = [read for read in reads if read.for_dropout]
    clauses = [*clauses, say("reads-flag", source=(dropouts or reads)[0].source)]
    return Behaviour("functional_dropout" if dropouts else "reads_flag", True, clauses, clauses)


def _encoder_layer(module: nn.TransformerEncoderLayer, clauses: list[Clause]) -> Behaviour:
    """Its own flag decides about a fused path alone, which skips its children and so their dropouts."""
    fused = [*clauses, Clause("fused-path-skips")]
    now, other = (clauses, fused) if flag.read(module) else (fused, clauses)
    return Behaviour("transformer_layer", False, now, other)
