"""From the newest frame to the ledger: what the runs changed, or would have, had it not been put back."""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP, fill, phrase
from modelight.protocol import Frame, LedgerEntry, Value
from modelight.widgets.ledger_data import LedgerData, LedgerRow
from modelight.widgets.numbers import figure

WORDS = {
    "no-run": QT_TRANSLATE_NOOP("phrases", "There is no run in the present state yet."),
    "nothing": QT_TRANSLATE_NOOP("phrases", "The run changes nothing."),
    "put-back": QT_TRANSLATE_NOOP("phrases", "All of it was put back: the model is bit for bit as it was before."),
    "kept": QT_TRANSLATE_NOOP("phrases", "Keep updates is on: parameters and buffers stay as the run left them."),
    "lost": QT_TRANSLATE_NOOP(
        "phrases", "{count:count} {count:entry|entries} could not be put back: the model is not as it was before."
    ),
    "one-run": QT_TRANSLATE_NOOP("phrases", "{forwards:count} {forwards:forward|forwards}"),
    "runs": QT_TRANSLATE_NOOP(
        "phrases", "{runs:count} runs of {forwards:count} {forwards:forward|forwards}, all together"
    ),
    "fate-back": QT_TRANSLATE_NOOP("phrases", "put back"),
    "fate-kept": QT_TRANSLATE_NOOP("phrases", "kept"),
    "fate-lost": QT_TRANSLATE_NOOP("phrases", "not put back"),
    "parameter": QT_TRANSLATE_NOOP("phrases", "parameter"),
    "buffer": QT_TRANSLATE_NOOP("phrases", "buffer"),
    "grad": QT_TRANSLATE_NOOP("phrases", "gradient"),
    "flag": QT_TRANSLATE_NOOP("phrases", "training flag"),
    "requires_grad": QT_TRANSLATE_NOOP("phrases", "requires_grad"),
    "rng": QT_TRANSLATE_NOOP("phrases", "random generator"),
    "attribute": QT_TRANSLATE_NOOP("phrases", "Python attribute"),
}


def ledger_data(frame: Frame | None) -> LedgerData:
    """The ledger of the newest run in the present state; None: there was none."""
    if frame is None:
        return LedgerData(_say("no-run"), "")
    ledger = frame.ledger
    rows = tuple(_row(entry, ledger.kept) for entry in ledger.entries)
    lost = sum(row.lost for row in rows)
    if lost:
        verdict = _say("lost", count=lost)
    elif not rows:
        verdict = _say("nothing")
    else:
        verdict = _say("kept" if ledger.kept else "put-back")
    runs = _say("one-run" if frame.repeats == 1 else "runs", runs=frame.repeats, forwards=frame.forwards)
    return LedgerData(verdict, runs, rows, " ".join(phrase(note) for note in ledger.notes))


def _row(entry: LedgerEntry, kept: bool) -> LedgerRow:
    lost = not entry.restored and not kept
    fate = "fate-back" if entry.restored else "fate-kept" if kept else "fate-lost"
    return LedgerRow(
        path=entry.name,
        type=_say(entry.kind) if entry.kind in WORDS else entry.kind,
        change=figure(entry.max_change),
        fate=_say(fate),
        lost=lost,
        note=phrase(entry.note) if entry.note is not None else "",
    )


def _say(id_: str, **values: Value) -> str:
    return fill(WORDS[id_], values)
