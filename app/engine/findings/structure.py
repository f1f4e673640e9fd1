"""ML130 and ML140 to ML160: gradients, and modules that ``train()`` and ``eval()`` do not reach or reach otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator

from modelight.engine import catalog
from modelight.engine.findings import design, randomness
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import named
from modelight.engine.modules import hidden
from modelight.engine.modules.hidden import Hidden
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


def gradients_all_the_same(evidence: Evidence) -> Iterator[Finding]:
    """Outputs of a run under ``no_grad`` carry a graph: something inside turned gradients on again."""
    frame = evidence.first
    if evidence.command.grad_mode == "enabled":
        return
    names = [output.name or "output" for output in frame.outputs if output.grad_fn is not None]
    if names:
        graphs = {capture.row for capture in frame.modules if capture.calls and capture.requires_grad}
        inner = [row for row in graphs if not graphs & set(evidence.rows.below(row)[1:])]
        module = evidence.rows.paths[min(inner)] if inner else ""
        values: dict[str, Value] = {
            "grad_mode": evidence.command.grad_mode,
            "module": module or "the model",
            "tensors": len(names),
            "names": named(names),
        }
        yield Finding("ML131", "info", module, values)


def inference_tensors(evidence: Evidence) -> Iterator[Finding]:
    """Weights that are inference tensors, or outputs of this run that are."""
    held = [
        name
        for tensors in (evidence.model.named_parameters(), evidence.model.named_buffers())
        for name, tensor in tensors
        if tensor.is_inference()
    ]
    if held:
        # Raised by autograd itself, with these words, where a forward needs such a tensor for backward.
        raised = evidence.problem is not None and "nference tensor" in str(evidence.problem.__cause__)
        values: dict[str, Value] = {"tensors": len(held), "names": named(held), "title": "ML160.title.held"}
        values["say"] = ["ML160.held", *(["ML160.raised"] if raised else [])]
        module = held[0].rpartition(".")[0]
        trains = evidence.command.grad_mode == "enabled"
        yield Finding("ML160", "critical" if raised else "warning" if trains else "info", module, values)
        return
    outputs = [] if evidence.problem is not None else evidence.first.outputs
    names = [output.name or "output" for output in outputs if output.is_inference]
    if names:
        yield Finding("ML160", "info", None, {"tensors": len(names), "names": named(names)})


def modes_left_behind(evidence: Evidence) -> Iterator[Finding]:
    """A run leaves modules in another mode than they were in."""
    paths = [
        entry.name.rpartition("training")[0][:-1] for entry in evidence.first.ledger.entries if entry.kind == "flag"
    ]
    if paths:
        first = evidence.rows.by_path(paths[0])
        values: dict[str, Value] = {
            "modules": len(paths),
            "first": paths[0],
            "was": "train" if evidence.training(first) else "eval",
            "title": "ML143.title.one" if len(paths) == 1 else "ML143.title",
            "say": ["ML143.one" if len(paths) == 1 else "ML143.many", "ML143.why"],
        }
        yield Finding("ML143", "warning", paths[0], values)


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
            "module": path,
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
        if design.keeps_mode(type(module)):
            found.setdefault(_source(evidence.rows.rows[index]), []).append(index)
    for source, rows in found.items():
        row = evidence.rows.rows[rows[0]]
        values: dict[str, Value] = {"type": row.type, "source": source, "modules": len(rows), "first": row.path}
        yield Finding("ML141", "warning", row.path, values)


def _source(row: Row) -> str:
    """``file:line`` of the first override."""
    return next((str(clause.values["source"]) for clause in _overrides(row.notes)), "–")


def _overrides(notes: list[Clause]) -> list[Clause]:
    return [clause for clause in notes if clause.id in ("overrides-train", "overrides-eval")]


def asked_for_eval(evidence: Evidence) -> Iterator[Finding]:
    """The root is in eval, yet layers that react are in train below a module whose ``train()`` is its own, and does not
    hand the mode on to all of them."""
    rows = evidence.rows
    if evidence.training(0):
        return
    for row in rows.rows:
        index = rows.by_path(row.path)
        if not _overrides(row.notes) or design.reaches_all(type(rows.modules[index])):
            continue
        below = [rows.paths[at] for at in rows.below(index) if rows.rows[at].sensitive and evidence.training(at)]
        if below:
            values: dict[str, Value] = {
                "module": row.path,
                "type": row.type,
                "source": _source(row),
                "count": len(below),
                "first": below[0],
            }
            top = f"model.get_submodule({json.dumps(row.path)})" if row.path else "model"
            lines = [f"for module in {top}.modules():", "    module.training = False"]
            remedy = Remedy("set-eval", [row.path], False, lines)
            yield Finding("ML142", "warning", row.path, values, remedies=[remedy])
