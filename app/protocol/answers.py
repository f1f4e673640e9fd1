"""What the model process answers to experiments, and the union of all that it sends."""

from __future__ import annotations

import msgspec

from modelight.protocol.events import (
    Changed,
    CheckpointsCompared,
    Done,
    Event,
    Failure,
    FindingsReady,
    Frame,
    InputReady,
    Inspected,
    Learned,
    Opened,
    Progress,
    Python,
    Ready,
    SameAnswerReady,
    TensorInspected,
    Welcome,
)
from modelight.protocol.experiments import (
    BatchSide,
    Cell,
    Culprit,
    DropoutShare,
    GradientCut,
    Measure,
    ModuleGradient,
    NormEstimate,
    RandomSource,
    Ratio,
)
from modelight.protocol.frames import Autograd
from modelight.protocol.values import Array, Clause, GradMode


class Compared(Event, frozen=True):
    """Six ways to run the model, and which modules make the difference.

    The unit of ``moved``, ``spread`` and the culprits: for class probabilities that sum to one, half the sum over the
    classes of the absolute difference (total variation: the probability that went elsewhere; with two classes, the
    difference of either); otherwise the mean over the values of the absolute difference. Always averaged over samples.

    All of these compare means over runs. A ``…_chance`` is twice the distance that means of as many independent runs
    are expected to have if nothing moved, E|x̄ − ȳ| = √(2/π · (s²ₓ + s²ᵧ)/n) (normal approximation): 0 where all runs
    are equal. Runs share their seeds, so where a flip does not change what is drawn the truth is smaller.
    """

    seed: int
    batch: int
    runs: int
    samples: int
    """How many samples were run: the first ones."""
    forwards: int
    """In one run."""
    grad_mode: GradMode
    """In which the modules were flipped."""
    field: str
    """Name of the first output, as in :attr:`OutputField.name`."""
    shape: tuple[int, ...]
    """Of one forward's first output."""
    per_sample: bool
    """Each sample has a row of its own; else each row is a whole forward."""
    measure: Measure
    cells: list[Cell]
    """Train, then eval; each enabled, no_grad, inference_mode."""
    moved: float | None
    """How far all in train and all in eval are apart, means over the runs; the largest of the three grad modes."""
    rows_exact: bool
    """Train and eval gave the same in every run, bit for bit, under each grad mode."""
    columns_exact: bool
    """The grad modes gave the same in every run, bit for bit, in train and in eval."""
    columns_apart: float | None
    """Largest absolute difference of any value between grad modes, in the same run and mode; None where fewer than
    two ran."""
    culprits: list[Culprit] = msgspec.field(default_factory=list)
    """By the larger of ``alone`` and ``against``, the largest first; those beyond chance before all others."""
    everything: float | None = None
    """How far all in train and all in eval are apart in the runs of the culprits."""
    culprit_runs: int = 0
    mixed: bool = False
    """When the question was asked, some flags were in train and some in eval."""
    moved_chance: float = 0.0


class BatchCurve(Event, frozen=True):
    """What a sample's answer owes to the others in its batch."""

    seed: int
    runs: int
    """Of each batch size and mode; where two runs drew nothing and gave the same bits, the others were spared."""
    grad_mode: GradMode
    samples: int
    """How many samples were run: the first ones."""
    shown: int
    """Of how many of them ``values`` tell: the first ones."""
    sizes: list[int]
    """1, 2, 4, 8 … and ``samples``."""
    field: str
    shape: tuple[int, ...]
    """Of one forward's first output, with one sample or the fewest that run."""
    measure: Measure
    labelled: int
    sides: list[BatchSide]
    """Train, then eval."""
    unseen: Clause | None = None
    """Why there is no curve: ``needs-samples``, ``no-row-per-sample`` …; ``sides`` is empty then."""


class Repeatability(Event, frozen=True):
    """Whether the same input gives the same again, and what decides about it."""

    seed: int
    runs: int
    grad_mode: GradMode
    samples: int
    field: str
    shape: tuple[int, ...]
    per_sample: bool
    measure: Measure
    same: Array
    """runs × width, float32: the first sample's answers (of the whole forward, where it has no row of its own) with
    one seed."""
    other: Array
    """The same with ``seed``, ``seed`` + 1 …"""
    same_exact: bool
    """Every tensor that came out was the same in all runs with one seed, bit for bit."""
    same_apart: float
    """Largest distance of a run with the same seed from the first, in the units of :attr:`Compared.moved`."""
    same_first: str | None
    """Where ``same_exact`` is False: the first module that got the same and gave something else."""
    same_type: str
    """Its class."""
    other_exact: bool
    other_apart: float
    """Mean distance of a run with another seed from the first."""
    other_first: str | None
    other_type: str
    sources: list[RandomSource]
    """torch, numpy, Python, then those that the model owns."""


class McDropout(Event, frozen=True):
    """What repeated passes with dropout tell of the model's uncertainty, and which dropouts make it."""

    seed: int
    batch: int
    passes: int
    grad_mode: GradMode
    samples: int
    field: str
    shape: tuple[int, ...]
    per_sample: bool
    measure: Measure
    mean: Array
    """samples × width, float32: over the passes."""
    deviation: Array
    """samples × width, float32: standard deviation over the passes (n − 1); 0 where all passes are equal."""
    evaluated: Array | None
    """samples × width, float32: one run with everything in eval; None where the model raises there, or its output has
    another shape."""
    entropy: Array | None
    """samples, float32: entropy of the mean distribution, in nats (predictive entropy); None unless the outputs are
    class probabilities."""
    expected_entropy: Array | None
    """samples, float32: mean over the passes of their entropies. ``entropy`` − this is the mutual information of answer
    and weights, which dropout adds (Gal 2016, Houlsby 2011)."""
    spread: float
    """Of all on, in the units of :attr:`Compared.moved`."""
    exact: bool
    """All passes gave the same, bit for bit."""
    nothing_on: float | None
    """Spread with every dropout off: what draws whatever the flags; 0 where all passes are equal bit for bit."""
    site_passes: int
    """Passes per dropout; where two drew nothing and gave the same bits, the others were spared."""
    dropouts: list[DropoutShare]
    """By ``share``, the largest first."""


class Gradients(Event, frozen=True):
    """Reply to :class:`AskGradients`. Nothing of it is left in the model: ``.grad``, buffers and generators are back.

    Runs are made with grad mode enabled whatever the session's is: one observed, one bare with backward, and pairs to
    measure time.
    """

    seed: int
    samples: int
    train: int
    eval: int
    """Modules by flag (distinct modules)."""
    modules: list[ModuleGradient]
    cuts: list[GradientCut]
    """By the number of parameters they cut off, most first."""
    parameters: int
    trainable: int
    received: int
    zero: int
    """As in :class:`ModuleGradient`, of the whole model."""
    autograd: Autograd
    unowned: int = 0
    """Of ``autograd.kept``: bytes that were saved while no module of the tree was running."""
    scalar: Clause | None = None
    """What backward started from: ``scalar-cross-entropy`` …; None where nothing could be differentiated."""
    value: float | None = None
    unreached: list[str] = msgspec.field(default_factory=list)
    """Names of trainable parameters without a gradient; at most GRADIENT_NAMES."""
    forward: Ratio | None = None
    """Time of a forward with gradients on, over the same under no_grad."""
    backward: Ratio | None = None
    """Time of forward and backward, over a forward under no_grad."""
    milliseconds: float | None = None
    """Median of the forwards under no_grad."""
    watched: bool = False
    """Times include a watch for writes, which a model above 25 million parameters is not run without."""
    problem: Clause | None = None
    """Why there was no backward, where there was none."""


class ReEstimated(Event, frozen=True):
    """Reply to :class:`ReEstimate`. Nothing was changed. ``before`` and ``after`` are runs with all modules in eval."""

    batch: int
    passes: int
    samples: int
    batches: int
    """Over all passes."""
    norms: list[NormEstimate]
    measure: Measure
    before: Array
    """samples × width, float32: the first output as ``measure`` reads it; of an output wider than 1024, that many
    values at even distances."""
    after: Array
    moved: float | None
    """How far the two are apart, in the unit of :attr:`Compared.moved`."""
    labelled: int = 0
    right_before: int = 0
    right_after: int = 0
    notes: list[Clause] = msgspec.field(default_factory=list)


class Exported(Event, frozen=True):
    """Reply to :class:`ExportCheckpoint`."""

    path: str
    bytes: int
    tensors: int
    layers: int
    """How many layers have re-estimated statistics."""


EventMessage = (
    Welcome
    | Ready
    | Done
    | Progress
    | Failure
    | Opened
    | InputReady
    | Changed
    | Learned
    | Frame
    | SameAnswerReady
    | FindingsReady
    | Compared
    | Gradients
    | ReEstimated
    | Exported
    | BatchCurve
    | Repeatability
    | McDropout
    | Python
    | Inspected
    | TensorInspected
    | CheckpointsCompared
)
