"""From the engine's findings to cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from modelight.phrases import QT_TRANSLATE_NOOP, fill, phrase
from modelight.phrases.findings import PHRASES, marked
from modelight.protocol import Clause, Curve, Finding, Remedy, Row
from modelight.widgets.evidence import EvidenceCurve
from modelight.widgets.finding_card import FindingRow, RemedyRow
from modelight.widgets.paths import short_path

PATH_MOST = 56
"""Characters of a module's path on a card."""
_PATHS = ("module", "first", "furthest", "tensor")

WORDS = {
    "set-eval": QT_TRANSLATE_NOOP("phrases", "Set eval"),
    "set-train": QT_TRANSLATE_NOOP("phrases", "Set train"),
    "set-both": QT_TRANSLATE_NOOP("phrases", "Set both {mode}"),
    "set-all": QT_TRANSLATE_NOOP("phrases", "Set {count:count} {mode}"),
    "only": QT_TRANSLATE_NOOP("phrases", "Only {module}"),
    "freeze-statistics": QT_TRANSLATE_NOOP("phrases", "Freeze statistics"),
    "restore-checkpoint": QT_TRANSLATE_NOOP("phrases", "Put back checkpoint"),
    "edit-code": QT_TRANSLATE_NOOP("phrases", "Copy the line"),
    "undo": QT_TRANSLATE_NOOP("phrases", "Undo"),
    "copy-python": QT_TRANSLATE_NOOP("phrases", "Copy as Python"),
    "curve": QT_TRANSLATE_NOOP("phrases", "How far inputs differ, module by module:"),
    "solved": QT_TRANSLATE_NOOP("phrases", "No longer so: {title}"),
    "solved-flags": QT_TRANSLATE_NOOP("phrases", "**{remedy}** changed {count:count} flags."),
    "solved-done": QT_TRANSLATE_NOOP("phrases", "**{remedy}** did it."),
}


def finding_rows(findings: Sequence[Finding], rows: Sequence[Row]) -> list[FindingRow]:
    """Cards for findings, in their order; ``rows`` name the modules of curves."""
    return [_card(finding, key, rows) for key, finding in _keyed(findings).items()]


def find_remedy(findings: Sequence[Finding], key: str, remedy: str) -> tuple[Finding, Remedy]:
    """What a card's button stands for: ``FindingsPane.remedy_requested`` gives ``key`` and ``remedy``.

    Raises:
        KeyError: these findings have no such card or button.
    """
    finding = _keyed(findings)[key]
    return finding, _remedies(finding)[remedy]


def solved_row(finding: Finding, remedy: str, flags: int, rows: Sequence[Row]) -> FindingRow:
    """The card of a finding that is no longer so, after the button that read ``remedy`` changed ``flags`` flags."""
    before = _card(finding, f"solved {finding.id}", rows)
    known = f"{finding.id}.solved"
    title = phrase(Clause(known, finding.values)) if known in PHRASES else _say("solved", title=before.title)
    return replace(
        before,
        severity="solved",
        title=title,
        body=_say("solved-flags", remedy=remedy, count=flags) if flags else _say("solved-done", remedy=remedy),
        after="",
        remedies=(RemedyRow("undo", _say("undo")), RemedyRow("copy-python", _say("copy-python"))),
    )


def _say(id_: str, **values: str | int) -> str:
    return fill(WORDS[id_], values)


def _keyed(findings: Sequence[Finding]) -> dict[str, Finding]:
    keyed: dict[str, Finding] = {}
    for finding in findings:
        key = base = f"{finding.id} {finding.module or ''}".strip()
        number = 1
        while key in keyed:
            number += 1
            key = f"{base} {number}"
        keyed[key] = finding
    return keyed


def _short(finding: Finding) -> Finding:
    """With paths that leave the sentence readable: a card has forty characters a line."""
    short = {
        name: short_path(value, PATH_MOST)
        for name, value in finding.values.items()
        if name in _PATHS and isinstance(value, str)
    }
    return structs.replace(finding, values={**finding.values, **short})


def _card(finding: Finding, key: str, rows: Sequence[Row]) -> FindingRow:
    title, said = marked(_short(finding))
    # Above the picture stands what is the case; below it, why and what else was tried.
    body, after = ([*said[:1], _say("curve")], said[1:]) if finding.curve is not None else (said, [])
    return FindingRow(
        key=key,
        doc=finding.id,
        severity=finding.severity,
        title=title,
        body=" ".join(body),
        after=" ".join(after),
        curve=_curve(finding.curve, rows) if finding.curve is not None else None,
        remedies=tuple(_button(id_, remedy) for id_, remedy in _remedies(finding).items()),
        module=finding.module,
    )


def _curve(curve: Curve, rows: Sequence[Row]) -> EvidenceCurve:
    names = tuple(rows[index].path.rpartition(".")[2] or rows[index].type for index in curve.rows)
    return EvidenceCurve(names, tuple(curve.train), tuple(curve.eval), curve.collapse)


def _remedies(finding: Finding) -> dict[str, Remedy]:
    """Remedies by a name that is theirs alone on the card."""
    named: dict[str, Remedy] = {}
    for remedy in finding.remedies:
        id_, number = remedy.id, 1
        while id_ in named:
            number += 1
            id_ = f"{remedy.id}-{number}"
        named[id_] = remedy
    return named


def _button(id_: str, remedy: Remedy) -> RemedyRow:
    sets_mode = remedy.id in ("set-eval", "set-train")
    mode = remedy.id.removeprefix("set-") if sets_mode else ""
    return RemedyRow(id_, _remedy_text(remedy, id_ == remedy.id), mode, "\n".join(remedy.python))


def _remedy_text(remedy: Remedy, first: bool) -> str:
    if remedy.id in ("set-eval", "set-train"):
        mode = remedy.id.removeprefix("set-")
        if len(remedy.paths) == 1 and remedy.paths[0] and not first:
            return _say("only", module=short_path(remedy.paths[0], PATH_MOST // 2))
        if len(remedy.paths) == 2:
            return _say("set-both", mode=mode)
        if len(remedy.paths) > 2:
            return _say("set-all", count=len(remedy.paths), mode=mode)
    return _say(remedy.id) if remedy.id in WORDS else phrase(Clause(f"remedy.{remedy.id}"))
