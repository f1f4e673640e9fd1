"""What the model process sends; its answers to experiments stand in :mod:`modelight.protocol.answers`."""

from __future__ import annotations

import msgspec

from modelight.protocol.checkpoints import CheckpointDifference, CheckpointFacts
from modelight.protocol.findings import Finding, SameAnswer
from modelight.protocol.frames import Autograd, DropoutCapture, Ledger, ModuleCapture, NormCapture, OutputField, Stats
from modelight.protocol.inputs import InputInfo
from modelight.protocol.model import LoadReport, Row, RowState
from modelight.protocol.values import Clause, GradMode


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
