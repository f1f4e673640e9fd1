"""Copies of the bytes behind tensors, compared and put back bit for bit.

Bytes are read and written beside the tensors, through a view of their storage of its own: that moves no version
counter (a graph of the user's that saved the tensor stays valid), works on inference tensors, ignores strides, and
tells NaN from NaN and −0 from 0.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from modelight.engine.observing import arrays
from modelight.engine.observing.arrays import Bytes

SAMPLED_WORDS = 64
"""How many words of a region that was not copied are compared to find writes that nothing announced."""

Region = tuple[int, int, int]
"""Storage, first byte, byte after the last; storage 0 where the bytes are counted from the start of memory."""


def parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The strided tensors that hold a tensor's values: itself, or what a sparse tensor or a subclass is made of."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        for name in names:
            inner = getattr(tensor, name)
            if isinstance(inner, torch.Tensor):  # of a distributed tensor also how it is laid out over processes
                yield from parts(inner)
    elif tensor.layout is torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.is_nested:
        yield torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())
    elif tensor.layout is torch.strided and has_memory(tensor):
        yield tensor


def has_memory(tensor: torch.Tensor) -> bool:
    """Whether the storage of a strided tensor holds all its values: some was given back (``resize_(0)``), or never was.

    To read it all the same would be to read past the end, and torch makes a storage larger that is looked at so.
    """
    storage = tensor.untyped_storage()
    if storage.device.type == "meta" or tensor._is_zerotensor():  # a fake says that it lies on a device
        return False
    return tensor.numel() == 0 or storage.nbytes() >= region_of(tensor)[2]


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
    return _same(arrays.window(left), arrays.window(right))


def _same(one: Bytes, other: Bytes) -> bool:
    """By words: numpy compares those five times faster than torch compares bytes."""
    whole = len(one) // 8 * 8
    if len(one) != len(other) or not bool((one[:whole].view(np.uint64) == other[:whole].view(np.uint64)).all()):
        return False
    return whole == len(one) or bool((one[whole:] == other[whole:]).all())


# ------------------------------------------------------------------------------------------------------------- copies


class _Copy(Protocol):
    """The bytes of one region at one moment: a whole copy, or a sample that shows most changes."""

    is_whole: bool

    def is_there(self) -> bool:
        """Whether its storage still holds the region: sharded training gives storages back (``resize_(0)``)."""

    def save(self) -> None:
        """Make it a whole copy, if it is not one yet and the bytes are still those that it was made of."""

    def changed(self) -> bool: ...

    def restore(self) -> None:
        """Write the bytes back, where they were copied."""

    def before(self, like: torch.Tensor) -> torch.Tensor:
        """What a tensor of the region's form held. Only of a whole copy."""


class _PlainCopy:
    """Of a plain tensor on the CPU, by address: a fifth of what torch's operators cost.

    Args:
        alias: the tensor's ``data``. It keeps the storage alive, but the storage may be resized, and so move.
    """

    __slots__ = ("_alias", "_end", "_length", "_place", "_sample", "_saved", "is_whole")

    def __init__(self, alias: torch.Tensor, lazily: bool) -> None:
        width = alias.element_size()
        self._alias = alias
        self._place, self._length = alias.data_ptr(), alias.numel() * width
        self._end = int(alias.storage_offset()) * width + self._length
        self.is_whole = not lazily
        self._saved = b"" if lazily else ctypes.string_at(self._place, self._length)
        self._sample = self._take() if lazily else b""

    @staticmethod
    def is_possible(alias: torch.Tensor) -> bool:
        """:func:`has_memory` of a plain tensor, which needs fewer looks."""
        return alias.untyped_storage().nbytes() >= (alias.storage_offset() + alias.numel()) * alias.element_size()

    def _take(self) -> bytes:
        words = self._length // 8
        if words < SAMPLED_WORDS:
            return ctypes.string_at(self._place, self._length)
        step = words // SAMPLED_WORDS - 1 | 1
        return arrays.window(self._alias)[: words * 8].view(np.uint64)[::step].tobytes()

    def is_there(self) -> bool:
        return self._alias.data_ptr() == self._place and self._alias.untyped_storage().nbytes() >= self._end

    def save(self) -> None:
        if not self.is_whole and not self.changed():
            self._saved, self.is_whole = ctypes.string_at(self._place, self._length), True

    def changed(self) -> bool:
        if not self.is_there():
            return True
        if not self.is_whole:
            return self._take() != self._sample
        if self._length < _FEW_BYTES:
            return ctypes.string_at(self._place, self._length) != self._saved
        return not _same(arrays.window(self._alias), np.frombuffer(self._saved, np.uint8))

    def restore(self) -> None:
        if self.is_whole:
            storage = self._alias.untyped_storage()
            if storage.nbytes() < self._end:
                storage.resize_(self._end)
            ctypes.memmove(self._alias.data_ptr(), self._saved, self._length)

    def before(self, like: torch.Tensor) -> torch.Tensor:
        whole = torch.empty(like.shape, dtype=like.dtype)
        ctypes.memmove(whole.data_ptr(), self._saved, self._length)
        return whole


_FEW_BYTES = 1 << 16
"""Up to here another copy costs less than a comparison in place."""
_PLAIN_TYPES = (torch.Tensor, nn.Parameter)


class _TensorCopy:
    """Of any region of a storage, on any device, through torch."""

    def __init__(self, live: torch.Tensor, lazily: bool) -> None:
        self._live = live
        self._end = int(live.storage_offset()) + len(live)
        self._saved = live if lazily else live.clone()
        self.is_whole = not lazily
        self._sample = self._take() if lazily else live

    def _take(self) -> torch.Tensor:
        return self._live[:: max(1, len(self._live) // 8 // SAMPLED_WORDS) | 1].clone()

    def is_there(self) -> bool:
        return self._live.untyped_storage().nbytes() >= self._end

    def save(self) -> None:
        if not self.is_whole and not self.changed():
            self._saved, self.is_whole = self._live.clone(), True

    def changed(self) -> bool:
        if not self.is_there():
            return True
        if self.is_whole:
            return not same_bytes(self._live, self._saved)
        return not torch.equal(self._take(), self._sample)

    def restore(self) -> None:
        if self.is_whole:
            if not self.is_there():
                self._live.untyped_storage().resize_(self._end)
            self._live.copy_(self._saved)

    def before(self, like: torch.Tensor) -> torch.Tensor:
        old = torch.empty(0, dtype=like.dtype, device=like.device)
        return old.set_(self._saved.untyped_storage(), 0, like.shape, like.stride())


class Held:
    """One tensor as it was: its bytes, and which storage, offset, shape and strides it looked at them through."""

    __slots__ = ("_alias", "_copies", "_requires_grad", "tensor")

    def __init__(self, tensor: torch.Tensor, alias: torch.Tensor | None, copies: Sequence[_Copy]) -> None:
        self.tensor = tensor
        self._alias = alias
        """Shares memory with the tensor and nothing else: not the version counter, and no graph is kept alive."""
        self._copies = copies
        self._requires_grad = tensor.requires_grad if tensor.is_leaf else None

    @property
    def moved(self) -> bool:
        """Whether the tensor looks elsewhere now (``tensor.data = …``, ``resize_``)."""
        alias, tensor = self._alias, self.tensor
        return alias is not None and (
            alias.data_ptr() != tensor.data_ptr()
            or alias.shape != tensor.shape
            or alias.dtype != tensor.dtype
            or alias.stride() != tensor.stride()
        )

    @property
    def changed(self) -> bool:
        """Whether it holds something else now."""
        return self.moved or any(copy.changed() for copy in self._copies)

    @property
    def is_copied(self) -> bool:
        """Whether all of it can be put back."""
        return all(copy.is_whole for copy in self._copies)

    @property
    def requires_grad_changed(self) -> bool:
        """Whether its ``requires_grad`` was switched."""
        return self._requires_grad is not None and self.tensor.requires_grad != self._requires_grad

    def change(self) -> float | None:
        """Largest absolute change of an element; None where that means nothing or is not known."""
        copies = self._copies
        if self._alias is None or len(copies) != 1 or not copies[0].is_whole or not copies[0].is_there():
            return None
        if self._alias.is_quantized:
            return None
        with torch.inference_mode(False), torch.no_grad():
            return distance(self.tensor, copies[0].before(self._alias))

    def restore(self) -> None:
        """Put back what is known. What did not change is not written to: it may lie in memory that is only read."""
        for copy in self._copies:
            if copy.changed():
                copy.restore()
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
        self._aliases: list[torch.Tensor] = []
        """Look at what was remembered, wherever the tensors look now."""

    def add(self, tensor: torch.Tensor, *, lazily: bool = False) -> Held:
        """Remember a tensor. Regions that several tensors share are copied once."""
        with torch.inference_mode(False), torch.no_grad():
            return self.hold(tensor, lazily)

    def hold(self, tensor: torch.Tensor, lazily: bool) -> Held:
        """:meth:`add`, to be called outside inference mode and without gradients: entering both for each costs more."""
        alias = None
        if tensor.layout is torch.strided and not hasattr(tensor, "__tensor_flatten__") and not tensor.is_nested:
            alias = tensor.data
            if type(tensor) in _PLAIN_TYPES and arrays.is_plain(alias) and _PlainCopy.is_possible(alias):
                self._aliases.append(alias)
                return Held(tensor, alias, (self._plain(alias, lazily),))
            if alias.untyped_storage().device != alias.device:  # a fake has no memory to look at
                alias = None
        found = list(parts(tensor))
        self._aliases += [part.data for part in found]
        return Held(tensor, alias, [self._other(part, lazily) for part in found])

    def _plain(self, alias: torch.Tensor, lazily: bool) -> _Copy:
        place = alias.data_ptr()
        region = 0, place, place + alias.numel() * alias.element_size()
        copy = self._copies.get(region)
        if copy is None:
            copy = self._copies[region] = _PlainCopy(alias, lazily)
        if lazily:  # under each of the storages that may lie over the same memory
            self._lazy.setdefault(alias.untyped_storage()._cdata, []).append(copy)
        return copy

    def _other(self, part: torch.Tensor, lazily: bool) -> _Copy:
        region = region_of(part)
        known = self._copies.get(region)
        if known is not None:
            return known
        copy = self._copies[region] = _TensorCopy(bytes_of(part, region), lazily)
        if lazily:
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
        mine = {part.untyped_storage()._cdata for part in parts(tensor)}
        return any(alias.untyped_storage()._cdata in mine for alias in self._aliases)


def _largest(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """The same of plain values: a running statistic of a few channels needs no operator of torch."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(left - right)
    gaps[(left == right) | (np.isnan(left) & np.isnan(right))] = 0.0
    largest = float(gaps.max())
    return math.inf if math.isnan(largest) else largest


def distance(now: torch.Tensor, then: torch.Tensor) -> float | None:
    """Largest absolute difference of an element; infinite where NaN came or went; None for shapes that differ, and for
    values that are not there, or of which torch makes no numbers (packed, nested or quantized ones)."""
    if now.is_nested or then.is_nested or now.shape != then.shape:
        return None
    if not all(value.layout is not torch.strided or has_memory(value) for value in (now, then)):
        return None
    if now.numel() == 0:
        return 0.0
    if arrays.is_plain(now) and arrays.is_plain(then):
        return _largest(arrays.doubles(now).reshape(-1), arrays.doubles(then).reshape(-1))
    with torch.inference_mode(False), torch.no_grad():
        exact = torch.complex128 if now.is_complex() else torch.float64
        try:
            left, right = (value.detach().to("cpu", exact) for value in (now, then))
        except RuntimeError:
            return None
        same = (left == right) | (left.isnan() & right.isnan())
        gap = torch.where(same, 0.0, (left - right).abs()).max().item()
    return math.inf if math.isnan(gap) else float(gap)
