"""ML130 and ML140 to ML160: gradients, and modules that ``train()`` and ``eval()`` do not reach or reach otherwise."""

from __future__ import annotations

import dis
import inspect
import json
from collections.abc import Iterator
from types import FunctionType

import torch
from torch import nn

from modelight.engine import catalog, hidden
from modelight.engine.findings import randomness
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import named
from modelight.engine.hidden import Hidden
from modelight.protocol import Clause, Finding, Remedy, Row, Value


def gradients(evidence: Evidence) -> Iterator[Finding]:
    """Grad mode is no mode of the layers: said where one could take it for one."""
    frame = evidence.first
    if evidence.command.grad_mode == "enabled":
        if any(output.requires_grad for output in frame.outputs):
            yield Finding(
                "ML130", "info", None, {"kept": frame.autograd.kept, "title": "ML130.title.on", "say": ["ML130.on"]}
            )
        return
    reacting = [site.path for site in randomness.following(evidence, evidence.now)]
    reacting += [norm.path for norm in evidence.batch_norms]
    if reacting:
        values: dict[str, Value] = {
            "grad_mode": evidence.command.grad_mode,
            "modules": len(set(reacting)),
            "title": "ML130.title.off",
            "say": ["ML130.off.one" if len(set(reacting)) == 1 else "ML130.off"],
        }
        yield Finding("ML130", "info", None, values)


def inference_tensors(evidence: Evidence) -> Iterator[Finding]:
    """Outputs of this run are inference tensors."""
    names = [output.name or "output" for output in evidence.first.outputs if output.is_inference]
    if names:
        yield Finding("ML160", "info", None, {"tensors": len(names), "names": named(names)})


def plain_lists(evidence: Evidence) -> Iterator[Finding]:
    """Modules that hang in plain Python containers, with what they are in now."""
    groups: dict[tuple[int, str], list[Hidden]] = {}
    for found in hidden.find(evidence.rows.skeleton):
        groups.setdefault((found.owner, found.attribute), []).append(found)
    for (owner, attribute), members in groups.items():
        path = evidence.rows.paths[owner]
        modules = [module for member in members for module in member.module.modules()]
        sensitive = sum(catalog.describe(module, 0).sensitive for module in modules)
        values: dict[str, Value] = {
            "module": path or "model",
            "attribute": attribute,
            "count": len(members),
            "sensitive": sensitive,
            "at": named([member.where for member in members]),
            "training": sum(bool(module.training) for module in modules),
            "say": ["ML140.body", *(["ML140.sensitive"] if sensitive else [])],
        }
        line = f"self.{attribute} = nn.ModuleList(self.{attribute})"
        yield Finding("ML140", "warning", path, values, remedies=[Remedy("edit-code", [path], python=[line])])


def overridden_train(evidence: Evidence) -> Iterator[Finding]:
    """Classes whose own ``train()`` does not hand its argument on, by their code; it is never called."""
    found: dict[str, list[int]] = {}
    for index, module in enumerate(evidence.rows.modules):
        if keeps_mode(type(module)):
            found.setdefault(_source(evidence.rows.rows[index]), []).append(index)
    for source, rows in found.items():
        row = evidence.rows.rows[rows[0]]
        values: dict[str, Value] = {"type": row.type, "source": source, "modules": len(rows), "first": row.path}
        yield Finding("ML141", "warning", row.path, values)


def keeps_mode(kind: type[nn.Module]) -> bool:
    """Whether a class defines a ``train()`` whose code never reads its argument, or neither sets a flag nor calls
    another ``train()`` or ``eval()``."""
    method = next((base.__dict__["train"] for base in kind.__mro__ if "train" in base.__dict__), None)
    method = inspect.unwrap(method) if callable(method) else None
    if not isinstance(method, FunctionType) or method is nn.Module.train or issubclass(kind, torch.jit.ScriptModule):
        return False
    code = method.__code__
    if not {"super", "train", "eval", "training"} & set(code.co_names):
        return True
    arguments = set(inspect.signature(method).parameters) - {code.co_varnames[0]}
    loaded: set[object] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_"):
            value = instruction.argval
            loaded |= set(value) if isinstance(value, tuple) else {value}
    return not arguments & {name for name in loaded if isinstance(name, str)}


def _source(row: Row) -> str:
    """``file:line`` of the first override."""
    return next((str(clause.values["source"]) for clause in _overrides(row.notes)), "–")


def _overrides(notes: list[Clause]) -> list[Clause]:
    return [clause for clause in notes if clause.id in ("overrides-train", "overrides-eval")]


def asked_for_eval(evidence: Evidence) -> Iterator[Finding]:
    """The root is in eval, yet layers that react are in train below a module whose ``train()`` is its own."""
    rows = evidence.rows
    if evidence.training(0):
        return
    for row in rows.rows:
        index = rows.by_path(row.path)
        if not _overrides(row.notes):
            continue
        below = [rows.paths[at] for at in rows.below(index) if rows.rows[at].sensitive and evidence.training(at)]
        if below:
            values: dict[str, Value] = {
                "module": row.path or "model",
                "type": row.type,
                "source": _source(row),
                "count": len(below),
                "first": below[0],
            }
            top = f"model.get_submodule({json.dumps(row.path)})" if row.path else "model"
            lines = [f"for module in {top}.modules():", "    module.training = False"]
            remedy = Remedy("set-eval", [row.path], False, lines)
            yield Finding("ML142", "warning", row.path, values, remedies=[remedy])
