"""What the ledger window shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LedgerRow:
    """One tensor, flag or generator that the runs changed."""

    path: str
    """Its name."""
    type: str
    """What it is, in words."""
    change: str
    """Largest absolute change of an element, as a figure."""
    fate: str
    """What became of it, in words."""
    lost: bool = False
    """It could not be put back."""
    note: str = ""


@dataclass(frozen=True)
class LedgerData:
    """Everything in the window."""

    verdict: str
    runs: str
    """Of which runs."""
    rows: tuple[LedgerRow, ...] = ()
    notes: str = ""
