"""Dropout sites over a whole run: calls of the same site in several forwards are joined into one capture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modelight.engine.modules.rows import Rows
from modelight.engine.observing.masks import Drop, count_nonzero
from modelight.protocol import MASK_COLUMNS, MASK_ROWS, UNIT_COLUMNS, Array, Clause, DropoutCapture

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass
class _Site:
    """One site: a call of a layer, or a line that drops."""

    last: Drop
    masks: list[torch.Tensor] = field(default_factory=list)
    dropped: int = 0
    total: int = 0
    zeros: int = 0
    inputs: int = 0
    active: bool = False
    met: bool = False
    """In this repeat."""
    unseen: Clause | None = None
    unit_dropped: np.ndarray[Any, np.dtype[np.int64]] | None = None
    unit_total: int = 0
    units_differ: bool = False

    def start(self) -> None:
        """Another repeat: only what is counted per unit goes on."""
        self.masks, self.unseen, self.active, self.met = [], None, False, False
        self.dropped = self.total = self.zeros = self.inputs = 0

    def add(self, drop: Drop) -> None:
        self.last, self.met = drop, True
        self.active |= drop.active
        self.unseen = self.unseen or drop.unseen
        self.zeros += drop.already_zero or 0
        self.inputs += drop.inputs or 0
        if drop.dropped is not None:
            mask = units(drop.dropped)
            self.masks.append(mask)
            self.dropped += count_nonzero(mask)
            self.total += mask.numel()
            self._count_units(mask)
        elif not drop.active and drop.input_shape is not None:
            self.total += int(np.prod(drop.input_shape))

    def _count_units(self, mask: torch.Tensor) -> None:
        rows = _rows(mask)[:, :UNIT_COLUMNS]
        counts = rows.sum(0, dtype=torch.int64).cpu().numpy()
        if self.unit_dropped is None:
            self.unit_dropped = counts
        elif self.unit_dropped.shape == counts.shape:
            self.unit_dropped = self.unit_dropped + counts
        else:
            self.units_differ = True
        self.unit_total += rows.shape[0]


def units(mask: torch.Tensor) -> torch.Tensor:
    """A mask without the trailing dimensions of size one that broadcast it over space."""
    keep = mask.dim()
    while keep > 1 and mask.shape[keep - 1] == 1:
        keep -= 1
    return mask.reshape(mask.shape[:keep])


def _rows(mask: torch.Tensor) -> torch.Tensor:
    return mask.reshape(mask.shape[0], -1) if mask.dim() else mask.reshape(1, 1)


class DropSites:
    """Collects the drops of all forwards of one run."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._sites: dict[tuple[int, str | None, str, int], _Site] = {}

    def start(self) -> None:
        """Another repeat begins."""
        for site in self._sites.values():
            site.start()

    def add(self, drops: list[Drop]) -> None:
        """The drops of one forward."""
        with torch.inference_mode(False), torch.no_grad():
            for drop in drops:
                key = (self._row(drop.module), drop.source, drop.function, drop.call)
                self._sites.setdefault(key, _Site(drop)).add(drop)

    def _row(self, module: nn.Module | None) -> int:
        return -1 if module is None else self._rows.index_of(module)

    def finish(self) -> list[DropoutCapture]:
        """One capture per site that was met in the last repeat, by row, then in the order in which they came."""
        found = [self._capture(row, site) for (row, *_), site in self._sites.items() if site.met]
        return sorted(found, key=lambda capture: capture.row)

    def _capture(self, row: int, site: _Site) -> DropoutCapture:
        drop = site.last
        joined = _join(site.masks)
        observed = 0.0 if not site.active else site.dropped / site.total if site.masks and site.total else None
        counts = None if site.units_differ or site.unit_dropped is None else Array.of(site.unit_dropped)
        return DropoutCapture(
            row=row,
            path=self._rows.paths[row] if row >= 0 else "",
            source=drop.source,
            function=drop.function,
            call=drop.call,
            unit=drop.unit,
            p=drop.p,
            follows_flag=drop.follows_flag,
            active=site.active,
            observed=observed,
            dropped=site.dropped,
            total=site.total,
            shape=tuple(joined.shape) if joined is not None else drop.input_shape or (),
            mask=None if joined is None else Array.of(_picture(joined)),
            unit_dropped=counts,
            unit_total=site.unit_total if counts is not None else 0,
            already_zero=site.zeros if site.inputs else None,
            inputs=site.inputs or None,
            alpha=drop.alpha,
            unseen=site.unseen if site.active else None,
        )


def _join(masks: list[torch.Tensor]) -> torch.Tensor | None:
    """Masks of all forwards along the samples; where their shapes differ (other lengths), the last one alone."""
    if not masks:
        return None
    if masks[0].dim() == 0 or len({mask.shape[1:] for mask in masks}) > 1:
        return masks[-1]
    return torch.cat(masks)


def _picture(mask: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return _rows(mask)[:MASK_ROWS, :MASK_COLUMNS].to(torch.uint8).cpu().numpy()
