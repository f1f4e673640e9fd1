"""The ledger in words: what was changed, by how much, and whether it is as it was."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from modelight.present.ledger import ledger_data
from modelight.protocol import Clause, Frame, Ledger, LedgerEntry
from tests.app.frames import frame, output

MEAN = LedgerEntry("norm.running_mean", "buffer", 0.0213, True)
DRAWN = LedgerEntry("torch", "rng", None, True)
LOST = LedgerEntry("big.weight", "parameter", None, False, Clause("write-seen-too-late"))


def run(*entries: LedgerEntry, kept: bool = False, **more: object) -> Frame:

    made = frame([output(np.zeros((1, 2, 2)))])
    return replace(made, ledger=Ledger(kept, 0, len(entries), list(entries)), **more)


def test_each_tensor_with_how_far_it_would_have_moved() -> None:
    data = ledger_data(run(MEAN, DRAWN, repeats=15, forwards=12))
    assert data.runs == "15 runs of 12 forwards, all together"
    assert "put back" in data.verdict
    assert [(row.path, row.type, row.change, row.fate, row.lost) for row in data.rows] == [
        ("norm.running_mean", "buffer", "0.0213", "put back", False),
        ("torch", "random generator", "–", "put back", False),
    ]


def test_what_is_kept_is_not_called_lost() -> None:
    data = ledger_data(run(replace(MEAN, restored=False), kept=True, repeats=1, forwards=1))
    assert data.runs == "1 forward"
    assert "Keep updates" in data.verdict
    assert (data.rows[0].fate, data.rows[0].lost) == ("kept", False)


def test_what_could_not_be_put_back_is_said_first() -> None:
    data = ledger_data(run(MEAN, LOST))
    assert data.verdict.startswith("1 entry could not be put back")
    assert (data.rows[1].fate, data.rows[1].lost) == ("not put back", True)
    assert "Load the checkpoint again" in data.rows[1].note


def test_no_run_and_nothing_changed() -> None:
    assert ledger_data(None).rows == ()
    assert "no run" in ledger_data(None).verdict
    assert ledger_data(run()).verdict == "The run changes nothing."
