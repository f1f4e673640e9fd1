"""What a person can do about a checkpoint that met its model in part or not at all, one button each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QCoreApplication

from modelight.problems import Problem
from modelight.protocol import LoadReport
from modelight.session import Session

MOST_STATE_DICTS = 3


@dataclass(frozen=True)
class Offer:
    """A button and what it does."""

    name: str
    text: str
    take: Callable[[], None]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Offers", text)


def of_report(session: Session, report: LoadReport) -> list[Offer]:
    """After a model was opened: align, load the overlapping part, take another state dict, or other arguments."""
    setup = session.setup
    if setup is None:
        return []
    offers = []
    if report.proposed:
        offers.append(_again(session, report.path, "align", _tr("Load them aligned"), align=True))
    if report.mismatched and not report.partial:
        offers.append(_again(session, report.path, "partial", _tr("Load their overlap"), partial=True))
    for note in report.notes:
        if note.id == "other-state-dicts":
            others = note.values.get("others")
            names = [str(key) for key in others] if isinstance(others, list) else []
            offers += [_take(session, report.path, key) for key in names[:MOST_STATE_DICTS]]
        elif note.id == "arguments-differ":
            offers.append(_respelled(session, str(note.values["spec"])))
    return offers


def of_problem(session: Session, problem: Problem) -> list[Offer]:
    """After a failure: align, or open with the arguments that the checkpoint names."""
    clause = problem.clause
    if clause is None or session.setup is None:
        return []
    if clause.id == "checkpoint-other-names":
        return [_again(session, str(clause.values["path"]), "align", _tr("Load them aligned"), align=True)]
    if clause.id == "arguments-known":
        return [_respelled(session, str(clause.values["spec"]))]
    return []


def _again(session: Session, path: str, name: str, text: str, *, align: bool = False, partial: bool = False) -> Offer:
    """The checkpoint once more, into the open model or, where it could not be opened, with it."""

    def take() -> None:
        setup = session.setup
        if setup is None:
            return
        wanted = replace(setup, align=setup.align or align, partial=setup.partial or partial)
        if session.model is None:
            session.open(wanted)
        else:
            trust, key = (setup.trust, setup.key) if setup.checkpoint == path else (False, "")
            session.load_checkpoint(path, trust, key, align=wanted.align, partial=wanted.partial)

    return Offer(name, text, take)


def _take(session: Session, path: str, key: str) -> Offer:
    def take() -> None:
        if session.setup is not None:
            session.load_checkpoint(path, session.setup.trust, key)

    return Offer(f"key:{key}", _tr("Take {key}").format(key=key or _tr("the file itself")), take)


def _respelled(session: Session, spec: str) -> Offer:
    def take() -> None:
        if session.setup is not None:
            session.open(replace(session.setup, spec=spec))

    return Offer("arguments", _tr("Open with these arguments"), take)
