"""Copies of the bytes behind tensors, compared and put back bit for bit.

Bytes are read and written beside the tensors, through a view of their storage of its own: that moves no version
counter (a graph of the user's that saved the tensor stays valid), works on inference tensors, ignores strides, and
tells NaN from NaN and −0 from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

SAMPLED_BYTES = 128
"""How many bytes of a region that was not copied are compared to find writes that nothing announced."""

Region = tuple[int, int, int]
"""Storage, first byte, byte after the last."""


def parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The strided tensors that hold a tensor's values: itself, or what a sparse tensor or a subclass is made of."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        for name in names:
            yield from parts(getattr(tensor, name))
    elif tensor.layout is torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.layout is torch.strided and tensor.device.type != "meta":
        yield tensor


def region_of(tensor: torch.Tensor) -> Region:
    """The bytes of its storage that a strided tensor spans."""
    storage, width = tensor.untyped_storage()._cdata, tensor.element_size()
    start = int(tensor.storage_offset()) * width
    if tensor.numel() == 0 or tensor.is_contiguous():
        return storage, start, start + tensor.numel() * width
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return storage, start, start + (int(reach) + 1) * width


def bytes_of(tensor: torch.Tensor, region: Region) -> torch.Tensor:
    """A view of the region, uint8, that shares neither version counter nor inference flag with the tensor.

    To be called outside inference mode.
    """
    whole = torch.empty(0, dtype=torch.uint8, device=tensor.device)
    return whole.set_(tensor.untyped_storage(), region[1], (region[2] - region[1],), (1,))


def same_bytes(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two uint8 tensors hold the same."""
    if left.device.type != "cpu":
        return torch.equal(left, right)
    # numpy compares words five times faster than torch compares bytes.
    one, other = left.numpy(), right.numpy()
    whole = len(one) // 8 * 8
    if len(one) != len(other) or not bool((one[:whole].view(np.uint64) == other[:whole].view(np.uint64)).all()):
        return False
    return whole == len(one) or bool((one[whole:] == other[whole:]).all())


@dataclass
class _Copy:
    live: torch.Tensor
    saved: torch.Tensor | None
    sample: torch.Tensor | None = None

    def save(self) -> None:
        if self.saved is None:
            self.saved = self.live.clone()

    def changed(self) -> bool:
        if self.saved is not None:
            return not same_bytes(self.live, self.saved)
        return self.sample is not None and not torch.equal(_sample(self.live), self.sample)


def _sample(live: torch.Tensor) -> torch.Tensor:
    step = max(1, live.numel() // SAMPLED_BYTES) | 1
    return live[::step].clone()


class Held:
    """One tensor as it was: its bytes, and which storage, offset, shape and strides it looked at them through."""

    def __init__(self, tensor: torch.Tensor, copies: list[_Copy]) -> None:
        self.tensor = tensor
        self._copies = copies
        self._alias: torch.Tensor | None = None
        if tensor.layout is torch.strided and not hasattr(tensor, "__tensor_flatten__"):
            # tensor.data shares memory and nothing else: not the version counter, and no graph is kept alive.
            self._alias = tensor.data
        self._requires_grad = tensor.requires_grad if tensor.is_leaf else None

    @property
    def moved(self) -> bool:
        """Whether the tensor looks elsewhere now (``tensor.data = …``, ``resize_``)."""
        alias = self._alias
        return alias is not None and (
            alias.data_ptr() != self.tensor.data_ptr()
            or alias.shape != self.tensor.shape
            or alias.stride() != self.tensor.stride()
            or alias.dtype != self.tensor.dtype
        )

    @property
    def changed(self) -> bool:
        """Whether it holds something else now."""
        return self.moved or any(copy.changed() for copy in self._copies)

    @property
    def is_copied(self) -> bool:
        """Whether all of it can be put back."""
        return all(copy.saved is not None for copy in self._copies)

    @property
    def requires_grad_changed(self) -> bool:
        """Whether its ``requires_grad`` was switched."""
        return self._requires_grad is not None and self.tensor.requires_grad != self._requires_grad

    def change(self) -> float | None:
        """Largest absolute change of an element; None where that means nothing or is not known."""
        before = self._before()
        return None if before is None else distance(self.tensor, before)

    def _before(self) -> torch.Tensor | None:
        if self._alias is None or len(self._copies) != 1 or self._copies[0].saved is None:
            return None
        saved = self._copies[0].saved.untyped_storage()
        with torch.inference_mode(False), torch.no_grad():
            old = torch.empty(0, dtype=self._alias.dtype, device=self._alias.device)
            return old.set_(saved, 0, self._alias.shape, self._alias.stride())

    def restore(self) -> None:
        """Put back what is known."""
        for copy in self._copies:
            if copy.saved is not None:
                copy.live.copy_(copy.saved)
        if self.moved and self._alias is not None:
            self.tensor.data = self._alias
        if self.requires_grad_changed and self._requires_grad is not None:
            self.tensor.requires_grad_(self._requires_grad)


class Memory:
    """What some tensors held at one moment.

    A tensor added ``lazily`` is copied only when :meth:`before_write` announces a write into its storage; until then
    a sample of its bytes is kept, which finds most writes that were not announced, too late to undo them.
    """

    def __init__(self) -> None:
        self._copies: dict[Region, _Copy] = {}
        self._lazy: dict[int, list[_Copy]] = {}

    def add(self, tensor: torch.Tensor, *, lazily: bool = False) -> Held:
        """Remember a tensor. Regions that several tensors share are copied once."""
        with torch.inference_mode(False), torch.no_grad():
            return self.hold(tensor, lazily)

    def hold(self, tensor: torch.Tensor, lazily: bool) -> Held:
        """:meth:`add`, to be called outside inference mode and without gradients: entering both for each costs more."""
        return Held(tensor, [self._copy(part, lazily) for part in parts(tensor)])

    def _copy(self, part: torch.Tensor, lazily: bool) -> _Copy:
        region = region_of(part)
        known = self._copies.get(region)
        if known is not None:
            return known
        live = bytes_of(part, region)
        copy = self._copies[region] = _Copy(live, None if lazily else live.clone())
        if lazily:
            copy.sample = _sample(live)
            self._lazy.setdefault(region[0], []).append(copy)
        return copy

    @property
    def waits_for_writes(self) -> bool:
        """Whether writes have to be announced."""
        return bool(self._lazy)

    def before_write(self, tensor: torch.Tensor) -> None:
        """Copy what a write to ``tensor`` is about to overwrite, if it is remembered lazily."""
        for part in parts(tensor):
            for copy in self._lazy.pop(part.untyped_storage()._cdata, ()):
                copy.save()

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether ``tensor`` shares its storage with a remembered one."""
        storages = {region[0] for region in self._copies}
        return any(part.untyped_storage()._cdata in storages for part in parts(tensor))


def distance(now: torch.Tensor, then: torch.Tensor) -> float | None:
    """Largest absolute difference of an element; infinite where NaN came or went; None for shapes that differ."""
    if now.shape != then.shape:
        return None
    if now.numel() == 0:
        return 0.0
    with torch.inference_mode(False), torch.no_grad():
        exact = torch.complex128 if now.is_complex() else torch.float64
        left, right = (value.detach().to("cpu", exact) for value in (now, then))
        same = (left == right) | (left.isnan() & right.isnan())
        gap = torch.where(same, 0.0, (left - right).abs()).max().item()
    return math.inf if math.isnan(gap) else float(gap)
