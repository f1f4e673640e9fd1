"""What is remarkable, with its evidence and what cures it."""

from __future__ import annotations

from typing import Literal

import msgspec

from modelight.protocol.values import Array, Value


class Remedy(msgspec.Struct, frozen=True):
    """Something that cures a finding: the command to send, and the same as lines of Python."""

    id: str
    """``set-eval``, ``set-train``, ``freeze-statistics``, ``restore-checkpoint`` …"""
    paths: list[str] = []
    training: bool | None = None
    python: list[str] = []


class Curve(msgspec.Struct, frozen=True):
    """Evidence down the network: how far inputs differ, module by module, in train and in eval; one value per row in
    ``rows``."""

    rows: list[int]
    train: list[float | None]
    eval: list[float | None]
    collapse: int | None = None
    """Position in ``rows`` of the first module at which they stop differing."""


class Finding(msgspec.Struct, frozen=True):
    """Something remarkable: which, where, the figures, and what cures it."""

    id: str
    """``ML101`` …"""
    severity: Literal["critical", "warning", "info", "solved"]
    """critical: changes the answer; warning: can; info: worth knowing."""
    module: str | None
    values: dict[str, Value] = {}
    curve: Curve | None = None
    remedies: list[Remedy] = []


class SameAnswer(msgspec.Struct, frozen=True):
    """*Same input, same answer?* for the first sample: float32 arrays runs × width of the first output field."""

    field: str
    again: Array
    alone: Array
    company: Array
    mates: int
    """How many other samples were in the batch; 0 where there was no other sample."""
    exact_again: bool
    """All runs of ``again`` equal, bit for bit."""
    exact_company: bool
