"""What the window process and the model process say to each other: the specification.

Transport
    The window starts the model process and writes :class:`Command` messages to its stdin; the model process writes
    :class:`Event` messages to its stdout. stderr is the console of the user's code and carries no messages.
    A message is a MessagePack map (a tagged ``msgspec.Struct``), preceded by its length as four bytes, big-endian.
    A length above :data:`MAX_MESSAGE` ends the conversation with :class:`ProtocolError`.

Handshake
    The model process speaks first: :class:`Welcome` with :data:`VERSION`, before it imports torch, so that the window
    can show that something lives; then :class:`Ready` once torch is there. The window answers nothing, but its first
    command is :class:`Hello`. Either end that sees another version says so in a sentence and ends the conversation.

Commands and replies
    Every command carries an ``id`` that the window counts up. It is answered by exactly one message with the same
    ``id``: the reply named in the command's docstring, or :class:`Failure`. :class:`Progress` may come before it.
    Commands are carried out one after another in the order in which they were sent, except :class:`Cancel`, which is
    read at once, while another command is at work; the command it names then fails with ``kind="cancelled"`` at
    the next module it reaches.

Pace
    The model process computes a frame only when the window asks for one (:class:`Run`), and a live view asks for the
    next
    only when it has shown the last. One frame is thus the credit, nothing queues up, and no state about pace is kept
    on either side.

Words
    Texts that a person reads are phrased (and translated) by the window. The model process therefore sends
    :class:`Clause` values: an id and the figures to put in. ``Failure.message`` and tracebacks are Python's own.

Arrays
    cross as dtype, shape and bytes (C order, little endian); see :class:`Array`.

Paths
    A module is named by its dotted path from the root, as in ``named_modules()``; the root is the empty string. A
    module
    that is registered under several paths has a row for each. Rows are also known by their index in
    :attr:`Opened.rows`, depth first, parents before children.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np

VERSION = 1
MAX_MESSAGE = 256 * 1024 * 1024

GradMode = Literal["enabled", "no_grad", "inference_mode"]
Value = str | float | int | bool | None | list[str | float]


class ProtocolError(Exception):
    """The other end sent something that this end cannot read. The message is a sentence for a person."""


class Array(msgspec.Struct, frozen=True):
    """A numpy array in transit."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @staticmethod
    def of(values: np.ndarray[Any, Any]) -> Array:
        """Pack an array of a plain numeric or boolean dtype."""
        values = np.ascontiguousarray(values)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        return Array(little.dtype.str, tuple(values.shape), little.tobytes())

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array again; read-only, since it looks into the message's bytes."""
        return np.frombuffer(self.data, dtype=np.dtype(self.dtype)).reshape(self.shape)


class Clause(msgspec.Struct, frozen=True):
    """Something to say: an id that the window has a phrase for, and the figures to put in. See ``app/phrases.py``."""

    id: str
    values: dict[str, Value] = {}


# ---------------------------------------------------------------------------------------------------------------- inpu


class Noise(msgspec.Struct, frozen=True, tag=True):
    """Random input. ``shape`` is one sample's shape without the batch dimension; empty: find it out.

    ``low`` and ``high`` bound uniform noise and tokens; a constant is ``low``. Noise is drawn from a generator of
    its own with ``seed``, so the same noise comes back with the same seed.
    """

    distribution: Literal["normal", "uniform", "constant", "tokens"] = "normal"
    shape: tuple[int, ...] = ()
    samples: int = 4
    seed: int = 0
    low: float = 0.0
    high: float = 1.0


class Example(msgspec.Struct, frozen=True, tag=True):
    """What the model's own file offers as ``example_input()``."""

    samples: tuple[int, ...] | None = None
    """Which samples to take; None takes all."""


class FromFile(msgspec.Struct, frozen=True, tag=True):
    """Tensors from a ``.pt`` (read with weights_only), ``.npy``, ``.npz`` or ``.safetensors`` file."""

    path: str
    key: str = ""
    samples: tuple[int, ...] | None = None


class Images(msgspec.Struct, frozen=True, tag=True):
    """Pictures, converted to ``channels``, resized to (height, width), scaled to 0–1 and then ``(x − mean) / std``."""

    paths: tuple[str, ...]
    size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class FromFunction(msgspec.Struct, frozen=True, tag=True):
    """What a function of a Python file or module returns: ``path/file.py:name`` or ``package.module:name``."""

    spec: str
    samples: tuple[int, ...] | None = None


Source = Noise | Example | FromFile | Images | FromFunction


class InputTensor(msgspec.Struct, frozen=True):
    """One tensor of the input. ``name`` is the keyword, or the position in brackets for a positional argument."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class InputInfo(msgspec.Struct, frozen=True):
    """The input that runs will use: ``samples`` samples, joined from the sources in their order."""

    sources: list[Source]
    tensors: list[InputTensor]
    samples: int
    captions: list[str]
    """One short word per sample: its label, its place in the file, or "noise"."""
    is_noise: list[bool]
    labels: list[int | None]
    """The known class index per sample, None where there is none."""
    classes: list[str]
    """Names of the classes, where the file names them (``CLASSES``); otherwise empty."""
    thumbnails: Array | None = None
    """samples × height × width (grey) or × 3, uint8: small pictures of image-like samples."""
    splittable: bool = True
    """False: the input is one whole (a graph, say) and is never cut along its first dimension."""
    notes: list[Clause] = []
    """How it was got: ``shape-guessed`` {shape, why}, ``shape-from-first-layer``, …"""


# ------------------------------------------------------------------------------------------------------------- the mod


class Row(msgspec.Struct, frozen=True):
    """One module at one path: a row of the tree. What changes while the program runs is in :class:`RowState`."""

    path: str
    name: str
    parent: int
    """Index of the parent's row, −1 for the root."""
    type: str
    """Class name, e.g. ``BatchNorm2d``."""
    qualified: str
    """``module.qualname`` of the class."""
    parameters: int
    """Elements of all parameters in the subtree, each tensor counted once."""
    sensitive: bool
    """Whether this module itself may act differently in train and eval (known from the catalogue, or heard reading
    its flag)."""
    sensitive_below: int
    """How many distinct sensitive modules the subtree holds, this one included."""
    kind: str = ""
    """The catalogue's name for it: ``dropout``, ``batch_norm``, ``instance_norm``, ``rrelu``, ``rnn_dropout``, …; ""
    if unknown."""
    also_at: list[str] = []
    """The other paths under which the same module is registered."""
    notes: list[Clause] = []
    """What is remarkable about its structure: overridden ``train()``, modules in plain lists, compiled, scripted …"""


class RowState(msgspec.Struct, frozen=True):
    """What the flags of one row are now, and what the module therefore does."""

    index: int
    training: bool | None
    """None where the module has no flag at all (a frozen script)."""
    effect: list[Clause]
    """What it does in this state."""
    other: list[Clause]
    """What it would do with its own flag flipped."""
    trainable: int
    """Elements of the subtree's parameters with requires_grad."""
    own_parameters: int = 0
    """How many parameter tensors the module itself holds (not its children)."""
    own_trainable: int = 0
    """How many of those require grad."""
    marks: list[Clause] = []
    """What is wrong with its own tensors: NaN, infinity, zero variance, untouched statistics."""


class LoadReport(msgspec.Struct, frozen=True):
    """How a checkpoint met the model. Nothing of this is ever left unsaid."""

    path: str
    format: str
    wrapper: str = ""
    """The key the state dict was found under (``model_state_dict`` …)."""
    prefix: str = ""
    """The prefix taken off the keys (``module.`` …)."""
    loaded: int = 0
    missing: list[str] = []
    unexpected: list[str] = []
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    """(key, shape in the checkpoint, shape in the model)"""
    notes: list[Clause] = []
    proposed: list[tuple[str, str, str]] = []
    """(key in the checkpoint, key in the model, why) of tensors whose names differ and that may be the same: why is
    ``shape`` (it fits nowhere else), ``name`` (the likest of several) or ``order`` (nothing else tells). Not loaded."""
    aligned: list[tuple[str, str, str]] = []
    """The same for those that were loaded so, because a person asked for it."""
    partial: list[str] = []
    """Keys of other shapes whose overlapping block was loaded, because a person asked for it."""


# ---------------------------------------------------------------------------------------------------------------- fram


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
    """``element``, ``channel`` or ``sample`` (drop path)."""
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
    """Parameters and buffers by size of change; at most LEDGER_ENTRIES of them."""
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


# --------------------------------------------------------------------------------------------------------- findings


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


# --------------------------------------------------------------------------------------------------------- comparing

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


# --------------------------------------------------------------------------------------------------------- experiments


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


# ---------------------------------------------------------------------------------------------------------- gradients


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


# ------------------------------------------------------------------------------------------------------- re-estimating


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


# ---------------------------------------------------------------------------------------------------- checkpoint alone


class StateDictInfo(msgspec.Struct, frozen=True):
    """One of the state dicts in a file."""

    key: str
    """Dotted place in the file; empty if the file itself is the state dict."""
    tensors: int


class CheckpointLayer(msgspec.Struct, frozen=True):
    """A module path that the keys name: a row of the tree. Layers are listed depth first, parents before children."""

    path: str
    name: str
    parent: int
    """Index of the parent's row, −1 for the root."""
    kind: Clause
    """What it is: ``kind-linear`` {inputs, outputs} …, ``kind-named`` {type} where the file names the class."""
    guessed: bool
    """True: the kind was told from names and shapes of tensors; False: the file says it, or it only holds others."""
    training: bool | None = None
    """Its training flag, where the format carries flags; a state dict does not."""
    parameters: int = 0
    """Elements of the subtree's parameters, tied tensors counted once."""
    buffers: int = 0
    bytes: int = 0
    """Bytes of the subtree's tensors, tied ones counted once."""
    marks: list[Clause] = []
    """What is wrong with its own tensors."""
    notes: list[Clause] = []
    """What is worth knowing: ``counter-absent`` …"""


class CheckpointTensor(msgspec.Struct, frozen=True):
    """One tensor of a state dict."""

    name: str
    """The whole key."""
    layer: int
    """Index of its layer."""
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    role: Literal["parameter", "buffer"]
    role_guessed: bool
    """True: told from name and dtype, since a state dict does not say."""
    tied_to: str = ""
    """The first key that holds the same memory; its elements and bytes are counted there."""
    stats: Stats | None = None
    """Exact, where all values were read (``deep``)."""
    marks: list[Clause] = []


class CheckpointFacts(msgspec.Struct, frozen=True):
    """A checkpoint read by itself, without the code of its model."""

    path: str
    format: str
    file_bytes: int
    """Of the file, or of all files of a sharded checkpoint."""
    stamp: str
    """Changes when the file does."""
    key: str
    state_dicts: list[StateDictInfo]
    """All that the file holds, the chosen one included, the likeliest first."""
    layers: list[CheckpointLayer]
    tensors: list[CheckpointTensor]
    parameters: int
    buffers: int
    tensor_bytes: int
    dtypes: dict[str, int]
    """Elements by dtype, most first."""
    has_flags: bool
    """Whether the format carries training flags."""
    deep: bool
    """Whether every value was looked at; otherwise only those of normalisation statistics were."""
    wrapping: list[tuple[str, str]] = []
    """What lies around the state dict: (dotted place, value as text): epoch, optimizer, hyper-parameters …"""
    metadata: list[tuple[str, str]] = []
    """Texts that the format itself keeps (safetensors' header)."""
    extras: list[tuple[str, str]] = []
    """Entries of the state dict that are no tensors."""
    notes: list[Clause] = []


class TensorDifference(msgspec.Struct, frozen=True):
    """How far one tensor of a checkpoint lies from the same one in another."""

    name: str
    """Its key in the first."""
    other_name: str
    equal: bool
    """Every value equal (NaN equal to NaN), and shape and dtype too."""
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    changed: int | None = None
    """How many values differ; None where shapes differ or the values cannot be compared."""
    largest: float | None = None
    """Largest absolute difference of values finite in both."""
    relative: float | None = None
    """‖other − first‖₂ / ‖first‖₂ over values finite in both; None where the first is all zero."""
    not_finite: int = 0
    """Values that are NaN or infinite in either."""


class StatisticsDifference(msgspec.Struct, frozen=True):
    """How far the running statistics of one layer moved between two checkpoints."""

    path: str
    channels: int
    drift: float | None
    """Largest |other mean − first mean| / sqrt(first variance); None where no channel has a positive variance."""
    channel: int | None
    """Which channel that is."""
    ratio_low: float | None
    """Smallest other variance / first variance."""
    ratio_high: float | None
    updates: int | None
    """Other num_batches_tracked − first."""


class CheckpointDifference(msgspec.Struct, frozen=True):
    """Two checkpoints side by side."""

    path: str
    other: str
    removed: str
    """Prefix taken off the first's keys to meet the other's."""
    added: str
    tensors: list[TensorDifference]
    """Those that are in both, in the first's order."""
    only_first: list[str]
    only_other: list[str]
    statistics: list[StatisticsDifference]
    """Layers whose running statistics differ."""


# -------------------------------------------------------------------------------------------------------------- comman


class Command(msgspec.Struct, frozen=True, tag=True, tag_field="tag", kw_only=True):
    """Base of what the window sends."""

    id: int


class Hello(Command, frozen=True):
    """First command. Replied by :class:`Done`, or :class:`Failure` with ``kind="version"``."""

    version: int = VERSION


class Open(Command, frozen=True):
    """Build the model that ``spec`` names and load ``checkpoint`` into it. Replied by :class:`Opened`.

    ``spec`` is ``package.module:callable`` or ``path/file.py:callable``, optionally with literal arguments.
    ``directory``
    is the user's, put on the import path. ``device`` is a torch device. ``seed`` seeds torch, numpy and Python before
    the constructor.
    """

    spec: str
    checkpoint: str | None = None
    directory: str = ""
    device: str = "cpu"
    seed: int = 0
    trust: bool = False
    """A person agreed to a full unpickle of the checkpoint, which runs its author's code."""
    key: str = ""
    """Which state dict to take, where the file holds several (``ema`` …); empty: the likeliest."""
    align: bool = False
    """Load tensors of other names too, as :attr:`LoadReport.proposed` pairs them."""
    partial: bool = False
    """Where shapes differ, load the block that both have."""


class LoadCheckpoint(Command, frozen=True):
    """Load another checkpoint into the open model. Replied by :class:`Opened` (rows and states anew)."""

    path: str
    trust: bool = False
    key: str = ""
    align: bool = False
    partial: bool = False


class SetInput(Command, frozen=True):
    """Choose what runs are fed. Replied by :class:`InputReady`."""

    sources: list[Source]


class SetMode(Command, frozen=True):
    """Write the flag of the module at ``path``, and of everything below it if ``recursive``. Replied by
    :class:`Changed`."""

    path: str
    training: bool
    recursive: bool = True


class SetFlags(Command, frozen=True):
    """Write exactly these flags (path → training). Replied by :class:`Changed`. Undo and restoring use this."""

    flags: dict[str, bool]


class Preset(Command, frozen=True):
    """Replied by :class:`Changed`."""

    name: Literal["train", "eval", "freeze_norms", "mc_dropout"]


class SetRequiresGrad(Command, frozen=True):
    """Set requires_grad on the parameters of a subtree. Replied by :class:`Changed`."""

    path: str
    value: bool


class SetParameters(Command, frozen=True):
    """Write exactly these ``requires_grad`` flags (parameter name → value). Replied by :class:`Changed`."""

    requires_grad: dict[str, bool]


class CallTrain(Command, frozen=True):
    """Call the module's own ``train(training)``, overridden or not: the user asked for it. Replied by
    :class:`Changed`."""

    path: str
    training: bool


class Run(Command, frozen=True):
    """Run the input ``repeats`` times, ``batch`` samples per forward. Replied by :class:`Frame`.

    Random generators are seeded with ``seed`` + repeat before each repeat. ``force`` sets every flag to that mode for
    this run
    only. ``detail`` is the path whose capture is computed exactly.
    """

    grad_mode: GradMode
    seed: int = 0
    repeats: int = 1
    batch: int = 1
    keep_updates: bool = False
    force: bool | None = None
    detail: str = ""
    norm_statistics: bool = True
    """Whether batch statistics of norm layers are computed where no operator hands them out (in eval): one more pass
    over each of their inputs."""


class AskSame(Command, frozen=True):
    """*Same input, same answer?* Replied by :class:`SameAnswerReady`."""

    grad_mode: GradMode
    seed: int = 0
    runs: int = 16


class AskFindings(Command, frozen=True):
    """Look for what is remarkable in the present state, by experiment. Replied by :class:`FindingsReady`."""

    grad_mode: GradMode
    seed: int = 0
    batch: int = 1
    keep_updates: bool = False


class AskCompare(Command, frozen=True):
    """Run the input in train and in eval under each grad mode, and flip every mode-sensitive module by itself.

    Replied by :class:`Compared`. At most the first 64 samples are run, ``runs`` times each, ``batch`` per forward;
    run i is seeded with ``seed`` + i. ``grad_mode`` is the one in which modules are flipped.
    """

    seed: int = 0
    batch: int = 1
    runs: int = 16
    grad_mode: GradMode = "no_grad"


class AskBatchCurve(Command, frozen=True):
    """Run the first samples in growing company, in train and in eval, and find the modules that let samples of a
    batch act on each other. Replied by :class:`BatchCurve`.

    At most the first 64 samples are run. Run i of ``runs`` is seeded with ``seed`` + i. Flags as they are now play no
    part.
    """

    grad_mode: GradMode
    seed: int = 0
    runs: int = 8


class AskRepeatability(Command, frozen=True):
    """Run the first ``batch`` samples again in the present state: with the same seed, with other seeds, and with one
    random generator at a time seeded otherwise. Replied by :class:`Repeatability`."""

    grad_mode: GradMode
    seed: int = 0
    batch: int = 1
    runs: int = 8


class AskMcDropout(Command, frozen=True):
    """Run the input ``passes`` times with every dropout on and all else in eval, then with each dropout alone on.
    Replied by :class:`McDropout`.

    At most the first 64 samples are run, ``batch`` per forward; pass i is seeded with ``seed`` + i.
    """

    grad_mode: GradMode
    seed: int = 0
    batch: int = 1
    passes: int = 32


class AskGradients(Command, frozen=True):
    """Run the first ``batch`` samples with gradients on, then backward from one scalar. Replied by
    :class:`Gradients`."""

    seed: int = 0
    batch: int = 1


class ReEstimate(Command, frozen=True):
    """Preview running statistics as these inputs would have them. Replied by :class:`ReEstimated`.

    As ``torch.optim.swa_utils.update_bn``: reset, then the cumulative average over all batches of all ``passes``; but
    only the layers with running statistics are in train, so that no dropout disturbs them. The first pass takes the
    samples in their order, each further one in another, drawn with ``seed`` + its number.
    """

    batch: int
    passes: int = 1
    seed: int = 0


class ExportCheckpoint(Command, frozen=True):
    """Write the model's state dict with the statistics of the last :class:`ReEstimate`. Replied by :class:`Exported`.

    The suffix of ``path`` says the format: ``.safetensors``, or ``.pt``, ``.pth``, ``.bin``. The checkpoint that is
    loaded is never overwritten; another file only with ``replace``.
    """

    path: str
    estimate: int
    """Id of the ReEstimate that was shown: another one, or another checkpoint since, is refused."""
    replace: bool = False


class RestoreCheckpoint(Command, frozen=True):
    """Put every parameter and buffer back to what it was after loading. Replied by :class:`Changed`."""


class AskPython(Command, frozen=True):
    """The lines of Python that reproduce the present flags and grad mode. Replied by :class:`Python`."""

    grad_mode: GradMode


class Inspect(Command, frozen=True):
    """Look at a checkpoint without its model; the open model stays as it is. Replied by :class:`Inspected`."""

    path: str
    key: str = ""
    """Which state dict to take where the file holds several; empty: the likeliest."""
    trust: bool = False
    """A person agreed to a full unpickle, which runs the author's code."""


class InspectTensor(Command, frozen=True):
    """Read every value of one tensor of a checkpoint. Replied by :class:`TensorInspected`."""

    path: str
    name: str
    key: str = ""
    trust: bool = False


class CompareCheckpoints(Command, frozen=True):
    """Compare every value of two state dicts. Replied by :class:`CheckpointsCompared`."""

    path: str
    other: str
    key: str = ""
    other_key: str = ""
    """Which state dict of the other; empty: the one under ``key`` where it has that, else the likeliest."""
    trust: bool = False
    """A person agreed to a full unpickle of both."""


class Cancel(Command, frozen=True):
    """End the command ``target`` at the next module it reaches. Has no reply of its own."""

    target: int


class Shutdown(Command, frozen=True):
    """End the model process. Has no reply."""


# ---------------------------------------------------------------------------------------------------------------- even


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="tag", kw_only=True):
    """Base of what the model process sends. ``id`` is the command's, 0 for what no command asked for."""

    id: int = 0


class Welcome(Event, frozen=True):
    """First message: the process lives. ``pid`` is also the id of its process group."""

    version: int
    pid: int
    python: str


class Ready(Event, frozen=True):
    """torch is imported."""

    torch: str
    devices: list[str]


class Done(Event, frozen=True):
    """A command without a result was carried out."""


class Progress(Event, frozen=True):
    """What a command is doing now; ``fraction`` from 0 to 1 where it is known."""

    what: Clause
    fraction: float | None = None


class Failure(Event, frozen=True):
    """A command could not be carried out; nothing it had begun is left behind.

    ``kind`` tells the window which sentence to say: ``spec``, ``import``, ``build``, ``checkpoint``, ``consent``,
    ``input``, ``run``, ``cancelled``,
    ``version``, ``memory`` or ``internal``. ``clause`` is that sentence where the engine knows a better one.
    """

    kind: str
    type: str
    message: str
    traceback: str = ""
    clause: Clause | None = None
    module: str | None = None
    """For ``run``: the path of the innermost module that was running."""


class Opened(Event, frozen=True):
    """A model is open."""

    name: str
    """The model's short name: the file or module that built it."""
    type: str
    rows: list[Row]
    states: list[RowState]
    report: LoadReport | None
    input: InputInfo | None
    """The model's own example input, where there is one and it worked."""
    input_problem: Clause | None = None
    device: str = "cpu"
    notes: list[Clause] = []
    classes: list[str] = []
    parameters: dict[str, bool] = {}
    """requires_grad by parameter name."""
    files: list[str] = []
    """Files that the model was made from: its source, the user's modules beside it, and its checkpoint."""


class InputReady(Event, frozen=True):
    input: InputInfo


class Changed(Event, frozen=True):
    """Flags changed. ``states`` holds every row whose state is not what it was, in every path that shows the module."""

    states: list[RowState]
    asked: dict[str, bool] = {}
    """Flags before the change, of the paths that changed: what undo writes back."""
    parameters: dict[str, bool] = {}
    """requires_grad before the change, of the parameters that changed."""
    notes: list[Clause] = []


class Learned(Event, frozen=True):
    """A run has shown something of these rows that was not known before; no flag changed. Comes before the Frame."""

    states: list[RowState]


class Frame(Event, frozen=True):
    """The summary of one :class:`Run`."""

    grad_mode: GradMode
    seed: int
    repeats: int
    batch: int
    force: bool | None
    samples: int
    forwards: int
    """In one repeat."""
    train: int
    """Modules in train mode during the run (distinct modules)."""
    eval: int
    milliseconds: float
    """Median over the forwards, observed."""
    outputs: list[OutputField]
    modules: list[ModuleCapture]
    dropouts: list[DropoutCapture]
    norms: list[NormCapture]
    ledger: Ledger
    autograd: Autograd
    random: bool
    """Whether any forward drew from a random generator that the observer can see."""
    notes: list[Clause] = []
    """How the run was observed where that matters: ``slow-path`` {distance}, ``flag-read`` …"""
    reads: list[Clause] = []
    """``flag-read`` {path, source, count}: user code that read a training flag in this run."""


class SameAnswerReady(Event, frozen=True):
    same: SameAnswer


class FindingsReady(Event, frozen=True):
    findings: list[Finding]


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
    culprits: list[Culprit] = []
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
    unreached: list[str] = []
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
    notes: list[Clause] = []


class Exported(Event, frozen=True):
    """Reply to :class:`ExportCheckpoint`."""

    path: str
    bytes: int
    tensors: int
    layers: int
    """How many layers have re-estimated statistics."""


class Python(Event, frozen=True):
    text: str


class Inspected(Event, frozen=True):
    """Reply to :class:`Inspect`."""

    facts: CheckpointFacts


class CheckpointsCompared(Event, frozen=True):
    """Reply to :class:`CompareCheckpoints`."""

    difference: CheckpointDifference


class TensorInspected(Event, frozen=True):
    """Reply to :class:`InspectTensor`: exact figures of one tensor, or why there are none."""

    name: str
    stats: Stats | None
    unseen: Clause | None = None
    stamp: str = ""
    """As :attr:`CheckpointFacts.stamp`, when the values were read: another one means that the file has changed."""
    not_finite: tuple[int, int] = (0, 0)
    """How many values are NaN, and how many infinite."""


CommandMessage = (
    Hello
    | Open
    | LoadCheckpoint
    | SetInput
    | SetMode
    | SetFlags
    | Preset
    | SetRequiresGrad
    | SetParameters
    | CallTrain
    | Run
    | AskSame
    | AskFindings
    | AskCompare
    | AskGradients
    | ReEstimate
    | ExportCheckpoint
    | AskBatchCurve
    | AskRepeatability
    | AskMcDropout
    | RestoreCheckpoint
    | AskPython
    | Inspect
    | InspectTensor
    | CompareCheckpoints
    | Cancel
    | Shutdown
)
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

_LENGTH = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()


def encode(message: Command | Event) -> bytes:
    """A message as it goes over the pipe, length first.

    Raises:
        ProtocolError: the message is larger than MAX_MESSAGE or holds something that MessagePack cannot carry.
    """
    try:
        body = _encoder.encode(message)
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise ProtocolError(f"{type(message).__name__} cannot be sent: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise ProtocolError(f"{type(message).__name__} is {len(body)} bytes; the limit is {MAX_MESSAGE}.")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Push-style decoder: ``feed`` it what the pipe delivered, whole messages or not, and take the messages it
    yields."""

    def __init__(self, kind: Any) -> None:
        """``kind`` is CommandMessage or EventMessage: what this end may receive."""
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield every message that is complete now.

        Raises:
            ProtocolError: the stream is not this protocol; it cannot be read any further.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE:
                raise ProtocolError(f"A message of {length} bytes was announced; the limit is {MAX_MESSAGE}.")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"A message could not be read: {error}") from error


def plain(text: str) -> str:
    """Text that any encoder takes: lone surrogates, as in file names that are not UTF-8, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def version_sentence(theirs: int) -> str:
    """What either end says when the other speaks another version."""
    return (
        f"The model process speaks protocol {theirs}, the window {VERSION}. "
        "Install the same version of modelight in both environments."
    )
