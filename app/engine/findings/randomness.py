"""ML120 to ML124: what drops, what is random although it should not be, and what should be random and is not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from modelight.engine import catalog
from modelight.engine.batches import Batch
from modelight.engine.experiments.parting import first_parting, identical
from modelight.engine.experiments.trials import Flags, all_flags
from modelight.engine.findings import design
from modelight.engine.findings.evidence import Evidence
from modelight.engine.findings.rule import set_eval
from modelight.engine.modules import flag, hidden
from modelight.protocol import DropoutCapture, Finding, Frame, Remedy, Value

_NAMED = 4
"""Things that a run changes and that are named at most."""
ATTENTION = "scaled_dot_product_attention"
_KINDS = ("dropout", "drop_path", "rnn_dropout", "attention", "functional_dropout")


def dropouts_on(evidence: Evidence) -> Iterator[Finding]:
    """Modules in train that dropped in this run, and how much."""
    sites = following(evidence, evidence.now)
    paths = list(dict.fromkeys(site.path for site in sites))
    if not paths:
        return
    counted_whole = all(map(_counted_whole, sites))
    dropped, total = _counts(sites) if counted_whole else _last_counts(sites)
    values: dict[str, Value] = {
        "modules": len(paths),
        "first": paths[0],
        "p": sites[0].p,
        "observed": dropped / total if total else None,
        "dropped": dropped,
        "total": total,
        "unseen": len({site.path for site in sites if site.unseen is not None}),
        "runs": evidence.now.forwards * (evidence.now.repeats if counted_whole else 1),
        "grad_mode": evidence.command.grad_mode,
    }
    number = "one" if len(paths) == 1 else "many"
    seen = number if total else f"{number}.unseen"
    chosen = _alone_in_train(evidence)
    values["title"] = f"ML120.title.{number}"
    some = ["ML120.some.unseen"] if total and values["unseen"] else []
    values["say"] = [f"ML120.{seen}", *some, *(["ML120.chosen"] if chosen else [])]
    severity: Literal["warning", "info"] = "info" if chosen else "warning"
    yield Finding("ML120", severity, paths[0], values, remedies=[set_eval(evidence.rows, paths)])


def _alone_in_train(evidence: Evidence) -> bool:
    """Whether dropouts alone are in train while the rest is in eval, as for MC dropout: no one forgets eval() so."""
    return not evidence.training(0) and all(
        _is_drop(evidence, row) for row, module in enumerate(evidence.rows.modules) if flag.read(module)
    )


def following(evidence: Evidence, frame: Frame) -> list[DropoutCapture]:
    """Dropouts of modules in train that were on in a frame, and did not drop with every flag in eval. Those that a
    class of the model keeps on although its eval() was called are left out: it is meant."""
    still = {(site.row, site.function, site.call) for site in _dropped(evidence.evaluated)}
    return [
        site
        for site in frame.dropouts
        if site.active and evidence.training(site.row) and (site.row, site.function, site.call) not in still
        if evidence.training(0) or not design.kept_on(evidence.rows, site.row)
    ]


def _dropped(frame: Frame) -> list[DropoutCapture]:
    """Sites that dropped something in any repeat, or whose masks are not seen."""
    return [
        site
        for site in frame.dropouts
        if site.active and site.row >= 0 and (site.observed is None or _counts([site])[0] > 0)
    ]


def _counts(sites: Sequence[DropoutCapture]) -> tuple[int, int]:
    """Dropped and all values, over all repeats where the site counted them, else over the last."""
    dropped = total = 0
    for site in sites:
        if site.unit_dropped is not None and site.unit_total:
            units = site.unit_dropped.numpy()
            dropped, total = dropped + int(units.sum()), total + site.unit_total * units.size
        else:
            dropped, total = dropped + site.dropped, total + site.total
    return dropped, total


def _counted_whole(site: DropoutCapture) -> bool:
    """Whether every unit of the site was counted over all repeats: of wide masks only the first ones are."""
    return site.unit_dropped is not None and site.unit_dropped.numpy().size == math.prod(site.shape[1:])


def _last_counts(sites: Sequence[DropoutCapture]) -> tuple[int, int]:
    """Dropped and all values of the last repeat, in which every one was counted."""
    return sum(site.dropped for site in sites), sum(site.total for site in sites)


def drops_in_eval(evidence: Evidence) -> Iterator[Finding]:
    """Dropouts that drop with every flag in eval: called as functions, or made inside ``forward``."""
    holders = {found.owner for found in hidden.find(evidence.rows.skeleton)}
    for site in _dropped(evidence.evaluated):
        if site.function.startswith("F.") and design.asked_for(site.source):
            continue
        if site.function.startswith("F."):
            yield _in_eval("ML121", site, "ML121.body", "training=self.training")
        elif "ropout" in site.function and not (_is_drop(evidence, site.row) or site.row in holders):
            # Where the module holds others in a plain list, ML140 tells it.
            yield _in_eval("ML121", site, "ML121.made", "self.dropout = nn.Dropout(p)  # in __init__")


def attention_drops_in_eval(evidence: Evidence) -> Iterator[Finding]:
    """``scaled_dot_product_attention`` that drops with every flag in eval."""
    for site in _dropped(evidence.evaluated):
        if site.function == ATTENTION:
            yield _in_eval("ML122", site, "ML122.body", "dropout_p=p if self.training else 0.0")


def _is_drop(evidence: Evidence, row: int) -> bool:
    return catalog.describe(evidence.rows.modules[row], 0).kind in _KINDS


def _in_eval(id_: str, site: DropoutCapture, say: str, python: str) -> Finding:
    values: dict[str, Value] = {
        "module": site.path,
        "function": site.function,
        "source": site.source,
        "p": site.p,
        "observed": site.observed,
        "dropped": site.dropped,
        "total": site.total,
        "say": [say],
    }
    return Finding(id_, "warning", site.path, values, remedies=[Remedy("edit-code", [site.path], python=[python])])


def random_in_eval(evidence: Evidence) -> Iterator[Finding]:
    """Two runs of the same input with every flag in eval differ, and no dropout that was seen explains it."""
    values = evidence.answers(evidence.evaluated).values
    if _explained(evidence) or np.array_equal(values[0], values[1], equal_nan=True):
        return
    difference = float(np.abs(values[0] - values[1]).max())
    if not evidence.evaluated.random and difference <= evidence.rounding * float(np.abs(values).max()):
        return  # Some kernels of accelerators add in another order each time.
    seed, batch = evidence.command.seed, evidence.inputs.part(0, evidence.command.batch)
    flags = all_flags(evidence.rows, False)
    if not evidence.evaluated.random and _repeats(evidence, batch, flags):
        yield _remembers(evidence, difference)
        return
    row = first_parting(evidence.trials, (batch, seed), (batch, seed + 1), flags=flags)
    module = None if row is None else evidence.rows.paths[row]
    drawn = [entry.name for entry in evidence.evaluated.ledger.entries if entry.kind == "rng"]
    site = next((one for one in _dropped(evidence.evaluated) if one.row == row), None)
    source = site.source if site is not None else None
    say: list[str | float] = ["ML123.where" if module is not None else "ML123.somewhere"]
    say += ["ML123.generators"] if drawn else []
    say += ["ML123.source"] if source else []
    found: dict[str, Value] = {
        "module": module or "",
        "generators": [*drawn],
        "source": source,
        "difference": difference,
        "say": say,
    }
    yield Finding("ML123", "warning", module, found)


def _repeats(evidence: Evidence, batch: Batch, flags: Flags) -> bool:
    """Whether two runs that begin in the same state answer the same."""
    one, other = (evidence.trials.forward(batch, seed=evidence.command.seed + run, flags=flags) for run in range(2))
    return len(one) == len(other) and all(identical(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def _remembers(evidence: Evidence, difference: float) -> Finding:
    """Nothing is random: a run changes something that the next one reads."""
    left = [entry.name for entry in evidence.evaluated.ledger.entries if entry.kind in ("attribute", "buffer")]
    values: dict[str, Value] = {"module": "", "difference": difference, "left": [*left[:_NAMED]]}
    values |= {"title": "ML123.title.remembers", "say": ["ML123.remembers", *(["ML123.left"] if left else [])]}
    return Finding("ML123", "warning", None, values)


def _explained(evidence: Evidence) -> bool:
    """Whether dropouts that another rule names are all that drops in eval."""
    sites = _dropped(evidence.evaluated)
    return bool(sites) and all("ropout" in site.function or site.function == ATTENTION for site in sites)


def no_variance(evidence: Evidence) -> Iterator[Finding]:
    """Dropouts are in train with p > 0, yet nothing random happened: no spread can come of it."""
    rows = evidence.rows
    asked = [
        rows.paths[index]
        for index, module in enumerate(rows.modules)
        if rows.index_of(module) == index and evidence.training(index) and _would_drop(evidence, index)
    ]
    answers = evidence.answers(evidence.now).values
    if asked and not evidence.now.random and bool((answers == answers[:1]).all()):
        values: dict[str, Value] = {"modules": len(asked), "first": asked[0], "runs": len(answers)}
        values["title"] = "ML124.title.one" if len(asked) == 1 else "ML124.title"
        yield Finding("ML124", "info", asked[0], values)


def _would_drop(evidence: Evidence, row: int) -> bool:
    behaviour = catalog.describe(evidence.rows.modules[row], 0)
    return behaviour.kind in _KINDS and behaviour.sensitive
