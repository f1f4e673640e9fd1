"""What one run of the input has shown."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from modelight.protocol.values import Array, Clause


class Stats(msgspec.Struct, frozen=True):
    """Moments and histogram of one tensor. ``minimum``, ``maximum``, ``nan`` and ``infinite`` are always exact;
    mean, deviation and histogram come from ``sampled`` of ``count`` values (equal when exact)."""

    count: int
    sampled: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    has_nan: bool = False
    has_infinite: bool = False
    low: float = 0.0
    """Left edge of the histogram."""
    high: float = 0.0
    """Right edge of the histogram."""
    counts: Array | None = None
    """Histogram: int64 counts of finite sampled values in equal bins between low and high."""


class OutputField(msgspec.Struct, frozen=True):
    """One tensor of what the model returned, walked by name through dicts, tuples, lists and dataclasses."""

    name: str
    """"" for a bare tensor, else ``logits``, ``[0].boxes`` …"""
    shape: tuple[int, ...]
    """Of one forward."""
    dtype: str
    requires_grad: bool
    grad_fn: str | None
    """Class name of the node, e.g. ``AddmmBackward0``."""
    is_inference: bool
    stats: Stats
    per_sample: bool
    """Whether the first dimension was the samples' in every forward."""
    values: Array | None = None
    """repeats × samples × width, float32, where the flattened width is at most 1024 and the whole is small; else
    None."""
    sample_stats: Array | None = None
    """repeats × samples × 4 (mean, deviation, minimum, maximum), float32, where ``values`` is None and per_sample."""


class ModuleCapture(msgspec.Struct, frozen=True):
    """The output of one module in the last repeat (of its first tensor)."""

    row: int
    calls: int
    """How often it was called in the last repeat; 0: not called, or not seen (see ``unseen``)."""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    requires_grad: bool = False
    is_inference: bool = False
    stats: Stats | None = None
    milliseconds: float | None = None
    unseen: Clause | None = None
    order: int = -1
    """Its place among all modules in the order in which they first returned; −1: not called."""


class DropoutCapture(msgspec.Struct, frozen=True):
    """One dropout site in the last repeat: a call of a dropout layer or of a dropout function.

    Forwards of the same repeat are joined along the samples. Rates and counts are over the whole mask;
    ``mask`` is a picture of at most ``MASK_ROWS`` × ``MASK_COLUMNS`` of it.
    """

    row: int
    """The module that drew it (for a function: the module whose forward called it); −1 if outside the model."""
    path: str
    source: str | None
    """``file:line`` of the call outside torch."""
    function: str
    """What drew: ``Dropout``, ``Dropout2d``, ``F.dropout``, ``scaled_dot_product_attention``, ``LSTM`` …"""
    call: int
    """Number of the call within one forward, from 0."""
    unit: str
    """``element``, ``channel``, ``sample`` (drop path) or ``batch`` (one draw for all)."""
    p: float | None
    follows_flag: bool | None
    """False: it drops whatever the flag. None: not known."""
    active: bool
    """Whether it dropped anything in this run, or could have (training and p > 0)."""
    observed: float | None
    """Dropped / total, over all forwards of the last repeat."""
    dropped: int = 0
    total: int = 0
    shape: tuple[int, ...] = ()
    """Shape of the whole mask (units, not repeated over space), forwards joined along the first dimension."""
    mask: Array | None = None
    """uint8, rows (samples) × columns (units), 1 = dropped; perhaps cut, see shape."""
    unit_dropped: Array | None = None
    """Per unit (columns), int64: how often it was dropped, over all repeats."""
    unit_total: int = 0
    """How many draws of each unit that counts."""
    already_zero: int | None = None
    """How many inputs were zero before the layer (these a comparison of input and output would miscount)."""
    inputs: int | None = None
    alpha: bool = False
    unseen: Clause | None = None
    """Why there is no mask, where there is none."""


MASK_ROWS = 64


MASK_COLUMNS = 256


UNIT_COLUMNS = 4096
"""Units of a mask that are counted one by one in ``unit_dropped``; a wider mask is counted up to here."""


class NormCapture(msgspec.Struct, frozen=True):
    """One normalisation layer: running statistics now, in the checkpoint, and what this run's batches had.

    Arrays are float64 with one value per channel; ``batch_mean`` and ``batch_var`` are forwards × channels (the first
    64
    forwards of the last repeat). ``batch_var`` is the biased variance that the layer divides by; the update uses the
    unbiased one, ``batch_var · n / (n − 1)`` with n = ``batch_count`` (torch.nn.BatchNorm).
    """

    row: int
    path: str
    type: str
    channels: int
    uses: str
    """``batch``, ``running`` or ``instance``: which statistics it normalised with."""
    updates: bool
    momentum: float | None
    """None: cumulative average 1/n."""
    eps: float
    tracked: int | None
    """num_batches_tracked now (before this run)."""
    running_mean: Array | None = None
    running_var: Array | None = None
    checkpoint_mean: Array | None = None
    checkpoint_var: Array | None = None
    checkpoint_tracked: int | None = None
    batch_mean: Array | None = None
    batch_var: Array | None = None
    batch_count: int = 0
    """Values per channel in one forward."""
    drift: Array | None = None
    """|batch mean − running mean| / sqrt(running var), with the mean over all forwards; NaN where the variance is 0."""
    preview_largest: Array | None = None
    """Largest drift after 0, 1, 2 … further passes over these batches in train mode."""
    preview_median: Array | None = None
    unseen: Clause | None = None


class LedgerEntry(msgspec.Struct, frozen=True):
    """One thing that the run changed, or would have, had it not been put back."""

    name: str
    kind: str
    """``parameter``, ``buffer``, ``grad``, ``flag``, ``requires_grad``, ``rng``, ``attribute``"""
    max_change: float | None
    """Largest absolute change of an element; None where that means nothing (a new tensor, an RNG)."""
    restored: bool
    note: Clause | None = None


class Ledger(msgspec.Struct, frozen=True):
    """What the run touched, all repeats together."""

    kept: bool
    """True: *Keep updates* was on, and the changes stand."""
    parameters: int
    buffers: int
    entries: list[LedgerEntry] = []
    """What could not be put back first, then parameters and buffers by size of change, then all else; at most
    LEDGER_ENTRIES."""
    notes: list[Clause] = []

    def __iter__(self) -> Iterator[LedgerEntry]:
        """The entries, so that a notebook may write ``for entry in seen.ledger``."""
        return iter(self.entries)


LEDGER_ENTRIES = 1000


class Autograd(msgspec.Struct, frozen=True):
    """Bytes that autograd keeps for backward after one forward: unique storages. A lower bound of resident memory."""

    kept: int
    """Saved activations: neither parameters nor inputs."""
    parameters: int
    inputs: int
    tensors: int
