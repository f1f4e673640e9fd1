"""What the experiments found: comparing, batch-mates, repeatability, MC dropout, gradients, re-estimating."""

from __future__ import annotations

from typing import Literal

import msgspec

from modelight.protocol.values import Array, Clause, GradMode

Measure = Literal["softmax", "probabilities", "log_probabilities", "sigmoid", "raw"]
"""How the values of an output were read before they were compared."""


class Cell(msgspec.Struct, frozen=True):
    """One of the six ways to run a model: every flag in one mode, under one grad mode; ``Compared.runs`` runs of all
    samples. Everything but the grad mode is None or 0 where ``problem`` says that the model raised."""

    training: bool
    grad_mode: GradMode
    values: Array | None = None
    """samples × width, float32: the first output as :attr:`Compared.measure` reads it, mean over the runs. Of an
    output wider than 1024, that many values at even distances."""
    deviations: Array | None = None
    """samples × width, float32: standard deviation over the runs (n − 1); None for a single run."""
    spread: float | None = None
    """One figure of ``deviations``, in the units of :attr:`Compared.moved`."""
    exact: bool = False
    """Every tensor that came out was the same in all runs, bit for bit."""
    milliseconds: float | None = None
    """Median over the forwards of ``Compared.batch`` samples, bare: no hooks, no observer."""
    watched: bool = False
    """The time includes a watch for writes, which a model above 25 million parameters is not run without."""
    kept_bytes: int = 0
    """What autograd keeps after the first forward, as :attr:`Autograd.kept`."""
    output: Literal["requires_grad", "plain", "inference"] = "plain"
    """What the first output is."""
    would_move: int = 0
    """How many buffers the runs would have changed, had they not been put back."""
    problem: Clause | None = None


class Culprit(msgspec.Struct, frozen=True):
    """One module that acts differently in train and eval, flipped by itself. Distances are in the units of
    :attr:`Compared.moved`; None where the model raised."""

    row: int
    path: str
    type: str
    training: bool
    """Its flag when the question was asked."""
    alone: float | None
    """How far the output moves from all in train when it alone is in eval."""
    against: float | None
    """How far it moves from all in eval when it alone is in train."""
    flipped: float | None = None
    """How far it moves from the present state when it alone is flipped; None where the present state is all train or
    all eval, in which this is ``alone`` or ``against``."""
    alone_chance: float = 0.0
    """Up to here ``alone`` cannot be told from what repeats of the same would differ by; see :class:`Compared`."""
    against_chance: float = 0.0
    flipped_chance: float = 0.0


class BatchPoint(msgspec.Struct, frozen=True):
    """Samples run in batches of ``size``; everything else is empty where ``problem`` says that the model raised.

    Every sample is in a batch of exactly ``size``: samples are taken in their order, and the last batch reaches back
    to samples that have been counted already.
    """

    size: int
    values: Array | None = None
    """:attr:`BatchCurve.shown` × width, float32: the first output of the first samples as :attr:`BatchCurve.measure`
    reads it, mean over the runs. Sample i is at position i of the first batch, or in a later batch where ``size`` is
    not above i."""
    deviations: Array | None = None
    """The same shape: standard deviation over the runs (n − 1); None for a single run."""
    exact: bool = False
    """All runs gave the same, bit for bit."""
    right: list[int] = []
    """How many of the labelled samples were right, per run; empty without labels or class scores."""
    problem: Clause | None = None


class LayerCompany(msgspec.Struct, frozen=True):
    """What company does to the first sample at one module (its first call): the module's output for that sample among
    the others against its output for the sample with as few others as the model runs with."""

    row: int
    path: str
    type: str
    apart: float | None
    """‖among others − alone‖₂ / (‖among others‖₂ + ‖alone‖₂), from 0, equal bit for bit, to 1; over the first row of
    the module's output, which is the sample's, or its beginning where samples are folded into rows. None where the
    shapes of the two differ, or the norms are 0 or not finite."""
    rounding: bool = False
    """No further apart than the order of float sums explains."""


class BatchSide(msgspec.Struct, frozen=True):
    """One mode of :class:`BatchCurve`. The layers are compared with everything put in eval that draws at random by its
    flag, since other batch sizes draw other numbers."""

    training: bool
    points: list[BatchPoint]
    """One per size of :attr:`BatchCurve.sizes`."""
    least: int = 1
    """The smallest batch size at which the model runs: what "alone" means for ``layers``."""
    first: str | None = None
    """Path of the first module that got the same for the first sample and gave something else."""
    mixing: list[str] = []
    """Paths of the normalisation layers that were called and normalise with the statistics of the batch."""
    layers: list[LayerCompany] = []
    """In the order in which they returned; up to where random draws hide what company does."""
    unseen: Clause | None = None
    """Why the layers could not be compared, or from where on they could not."""


class RandomSource(msgspec.Struct, frozen=True):
    """A random generator, and what comes of seeding it alone otherwise."""

    name: str
    """``torch``, ``numpy``, ``random`` (Python's), or module path and attribute of one that the model owns."""
    owned: bool
    drew: bool
    """Something was drawn from it in the run."""
    matters: bool | None
    """Whether the output then differs. None: it cannot be told, since the output differs with all seeds equal."""
    apart: float | None = None
    """How far the output moves, mean over the seeds tried, in the units of :attr:`Compared.moved`."""
    first: str | None = None
    """Path of the first module that got the same and gave something else."""
    type: str = ""
    """Its class."""
    values: Array | None = None
    """seeds × width, float32: the first sample's answers under the seeds tried."""


class DropoutShare(msgspec.Struct, frozen=True):
    """One dropout switched on alone, all others off."""

    row: int
    path: str
    type: str
    p: float | None
    """Its rate where it has one that can be read."""
    spread: float | None
    """Standard deviation over the passes, in the units of :attr:`Compared.moved`; None where the model raised."""
    share: float | None
    """Its variance over the passes, less that of ``nothing on``, as a share of the variance with all on; averaged over
    samples and values. Shares need not sum to one. None where all on has no variance."""
    verdict: Literal["adds", "rate-zero", "not-called", "draws-nothing", "no-effect", "raises"]
    """``draws-nothing``: called, and no generator moved; ``no-effect``: it drew, and every pass gave the same, bit for
    bit."""


class ModuleGradient(msgspec.Struct, frozen=True):
    """One module (at its first path) in a forward with gradients on, and in the backward that followed.

    Counts of parameters are tensors of the subtree, each once.
    """

    row: int
    parameters: int
    trainable: int
    """Those with requires_grad."""
    received: int = 0
    """Those whose ``.grad`` was there after backward."""
    zero: int = 0
    """Those of them whose gradient was zero in every element."""
    norm: float | None = None
    """L2 norm of all gradients of the subtree; None where none was received. May be NaN or infinite."""
    calls: int = 0
    requires_grad: bool | None = None
    """Of its first output tensor, in the last call; None where there is none, or it was not called."""
    grad_fn: str | None = None
    """Class name of that tensor's node."""
    grad_off: bool = False
    """Grad mode was off when it was called."""
    cut: bool = False
    """In some call, with grad mode on, no output required grad although an input or a parameter did."""
    saved: int = 0
    """Bytes that autograd kept while this module was the innermost running one: parameters and inputs excluded, each
    storage counted once, for the module that saved it first."""
    moves: int = 0
    """How many of its own buffers the forward would have moved."""


class GradientCut(msgspec.Struct, frozen=True):
    """A line of code behind which trainable parameters get no gradient."""

    reason: Literal["detach", "data", "item", "no_grad", "inference_mode", "integer", "operator"]
    """``integer``: the result has no real numbers; ``item``: the value left torch as a Python number; ``operator``:
    any other operator whose result does not require grad."""
    operator: str
    """As torch names it: ``detach``, ``argmax`` …"""
    module: str
    """Path of the innermost module of the tree that was running."""
    source: str | None
    """``file:line`` of the call outside torch; None where there is no such line."""
    calls: int
    parameters: list[str]
    """Names of trainable parameters before the cut that received no gradient; at most GRADIENT_NAMES."""
    count: int
    """How many those are."""


GRADIENT_NAMES = 100


class Ratio(msgspec.Struct, frozen=True):
    """How many times as long: median and quartiles over ``pairs`` pairs of runs, one after the other."""

    median: float
    low: float
    high: float
    pairs: int


class NormEstimate(msgspec.Struct, frozen=True):
    """One normalisation layer's running statistics now, and as these inputs would have them.

    Arrays are float64, one value per channel. ``drift_…`` is |mean over the input in eval − running mean| /
    sqrt(running variance): how far the layer's input in eval lies from what its statistics say, before and after. In
    eval each layer sees what the layers before it make with running statistics, so ``drift_after`` need not be 0.
    """

    row: int
    path: str
    type: str
    mean_before: Array
    mean_after: Array
    var_before: Array
    var_after: Array
    drift_before: Array | None = None
    drift_after: Array | None = None
    tracked_before: int | None = None
    tracked_after: int | None = None
    kept: Clause | None = None
    """Why it keeps its statistics, where it does."""
