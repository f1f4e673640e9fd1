"""Counted nouns. English comes without a translation file, so its two forms are both written out."""

from __future__ import annotations

from modelight.widgets import numbers


def counted(amount: int, one: str, many: str) -> str:
    """``one`` or ``many`` with the amount in place of ``%1``. Both are translated already."""
    return (one if amount == 1 else many).replace("%1", numbers.count(amount))
