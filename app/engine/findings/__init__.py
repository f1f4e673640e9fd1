"""What is remarkable about a model in its present state: a table of rules, each of which looks at experiments.

A rule never speaks from a flag alone where a run can decide, and says nothing where a run could not be made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError, ReportProgress, ShouldStop, never_stop, no_progress
from modelight.engine.findings import company, loaded, norms, randomness, structure
from modelight.engine.findings import inputs as ignored
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import Rule
from modelight.engine.modules.rows import Rows
from modelight.protocol import AskFindings, Clause, Finding, InputInfo

__all__ = ["RULES", "Evidence", "Rule", "judge", "look"]

RULES: tuple[Rule, ...] = (
    Rule("ML101", "output-ignores-input", ignored.ignores_input),
    Rule("ML110", "batch-statistics", norms.batch_statistics),
    Rule("ML111", "frozen-but-moving", norms.frozen_but_moving),
    Rule("ML112", "statistics-left-checkpoint", norms.left_checkpoint),
    Rule("ML114", "input-does-not-match-statistics", norms.batch_does_not_match),
    Rule("ML115", "broken-statistics", norms.broken_statistics),
    Rule("ML116", "untouched-statistics", norms.untouched_statistics),
    Rule("ML117", "state-moves-in-eval", norms.moves_in_eval),
    Rule("ML118", "state-moves-in-train", norms.moves_in_train),
    Rule("ML120", "dropouts-on", randomness.dropouts_on),
    Rule("ML121", "dropout-in-eval", randomness.drops_in_eval),
    Rule("ML122", "attention-dropout-in-eval", randomness.attention_drops_in_eval),
    Rule("ML123", "random-in-eval", randomness.random_in_eval),
    Rule("ML124", "dropout-without-variance", randomness.no_variance),
    Rule("ML130", "grad-mode", structure.gradients),
    Rule("ML131", "gradients-all-the-same", structure.gradients_all_the_same),
    Rule("ML140", "unregistered-modules", structure.plain_lists, runs=False),
    Rule("ML141", "train-keeps-mode", structure.overridden_train, runs=False),
    Rule("ML142", "asked-for-eval-got-train", structure.asked_for_eval, runs=False),
    Rule("ML143", "modes-left-behind", structure.modes_left_behind),
    Rule("ML150", "batch-mates", company.batch_mates),
    Rule("ML160", "inference-tensors", structure.inference_tensors, runs=False),
    Rule("ML170", "needs-more-than-one-value", norms.needs_more_values, runs=False),
    Rule("ML180", "checkpoint-with-gaps", loaded.with_gaps, runs=False),
)
"""In the order in which they are looked at. The id is of the first finding a rule yields (ML121's also yields
ML122)."""

_SEVERITIES = ("critical", "warning", "info", "solved")
_SAID_BY = {"ML101": ("ML150",)}
"""What a finding already tells, better: that every input gets the same answer is more than that batch-mates change
it."""


def look(
    model: nn.Module,
    inputs: Inputs,
    info: InputInfo,
    rows: Rows,
    command: AskFindings,
    *,
    checkpoint_buffers: dict[str, torch.Tensor] | None = None,
    should_stop: ShouldStop = never_stop,
    progress: ReportProgress = no_progress,
) -> list[Finding]:
    """Everything the rules find, the gravest first. The model is left as it was.

    A model that cannot run in its present state is looked at without running it.

    Raises:
        Cancelled: ``should_stop`` said so.
    """
    evidence = Evidence(model, inputs, info, rows, command, checkpoint_buffers or {}, should_stop, progress)
    return judge(evidence)


def judge(evidence: Evidence, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """The same for evidence that the caller keeps, and perhaps some of the rules.

    Raises:
        Cancelled: the evidence's ``should_stop`` said so.
    """
    found: list[Finding] = []
    for position, rule in enumerate(rules):
        if evidence.should_stop():
            raise Cancelled
        evidence.progress(Clause("looking", {"rule": rule.id}), position / len(rules))
        found += _apply(rule, evidence)
    told = {id_ for finding in found for id_ in _SAID_BY.get(finding.id, ())}
    kept = [finding for finding in found if finding.id not in told]
    return sorted(kept, key=lambda finding: (_SEVERITIES.index(finding.severity), finding.id))


def _apply(rule: Rule, evidence: Evidence) -> list[Finding]:
    try:
        if rule.runs and evidence.problem is not None:
            return []
        return list(rule.look(evidence))
    except Cancelled:
        raise
    except EngineError:
        # The model raised in a mode that the rule had to try: nothing is known, so nothing is said.
        return []
