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
    next only when it has shown the last. One frame is thus the credit, nothing queues up, and no state about pace is
    kept on either side.

Words
    Texts that a person reads are phrased (and translated) by the window. The model process therefore sends
    :class:`Clause` values: an id and the figures to put in. ``Failure.message`` and tracebacks are Python's own.

Arrays
    cross as dtype, shape and bytes (C order, little endian); see :class:`Array`.

Paths
    A module is named by its dotted path from the root, as in ``named_modules()``; the root is the empty string. A
    module that is registered under several paths has a row for each. Rows are also known by their index in
    :attr:`Opened.rows`, depth first, parents before children.
"""

from __future__ import annotations

from modelight.protocol.answers import (
    BatchCurve,
    Compared,
    EventMessage,
    Exported,
    Gradients,
    McDropout,
    ReEstimated,
    Repeatability,
)
from modelight.protocol.checkpoints import (
    CheckpointDifference,
    CheckpointFacts,
    CheckpointLayer,
    CheckpointTensor,
    StateDictInfo,
    StatisticsDifference,
    TensorDifference,
)
from modelight.protocol.commands import (
    AskBatchCurve,
    AskCompare,
    AskFindings,
    AskGradients,
    AskMcDropout,
    AskPython,
    AskRepeatability,
    AskSame,
    CallTrain,
    Cancel,
    Command,
    CommandMessage,
    CompareCheckpoints,
    ExportCheckpoint,
    Hello,
    Inspect,
    InspectTensor,
    LoadCheckpoint,
    Open,
    Preset,
    ReEstimate,
    RestoreCheckpoint,
    Run,
    SetFlags,
    SetInput,
    SetMode,
    SetParameters,
    SetRequiresGrad,
    Shutdown,
    Trust,
)
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
    GRADIENT_NAMES,
    BatchPoint,
    BatchSide,
    Cell,
    Culprit,
    DropoutShare,
    GradientCut,
    LayerCompany,
    Measure,
    ModuleGradient,
    NormEstimate,
    RandomSource,
    Ratio,
)
from modelight.protocol.findings import (
    Curve,
    Finding,
    Remedy,
    SameAnswer,
)
from modelight.protocol.frames import (
    LEDGER_ENTRIES,
    MASK_COLUMNS,
    MASK_ROWS,
    UNIT_COLUMNS,
    Autograd,
    DropoutCapture,
    Ledger,
    LedgerEntry,
    ModuleCapture,
    NormCapture,
    OutputField,
    Stats,
)
from modelight.protocol.framing import (
    Decoder,
    encode,
)
from modelight.protocol.inputs import (
    Example,
    FromFile,
    FromFunction,
    Images,
    InputInfo,
    InputTensor,
    Noise,
    Source,
)
from modelight.protocol.model import (
    LoadReport,
    Row,
    RowState,
)
from modelight.protocol.values import (
    MAX_MESSAGE,
    VERSION,
    Array,
    Clause,
    GradMode,
    ProtocolError,
    Value,
    plain,
    version_sentence,
)

__all__ = [
    "GRADIENT_NAMES",
    "LEDGER_ENTRIES",
    "MASK_COLUMNS",
    "MASK_ROWS",
    "MAX_MESSAGE",
    "UNIT_COLUMNS",
    "VERSION",
    "Array",
    "AskBatchCurve",
    "AskCompare",
    "AskFindings",
    "AskGradients",
    "AskMcDropout",
    "AskPython",
    "AskRepeatability",
    "AskSame",
    "Autograd",
    "BatchCurve",
    "BatchPoint",
    "BatchSide",
    "CallTrain",
    "Cancel",
    "Cell",
    "Changed",
    "CheckpointDifference",
    "CheckpointFacts",
    "CheckpointLayer",
    "CheckpointTensor",
    "CheckpointsCompared",
    "Clause",
    "Command",
    "CommandMessage",
    "CompareCheckpoints",
    "Compared",
    "Culprit",
    "Curve",
    "Decoder",
    "Done",
    "DropoutCapture",
    "DropoutShare",
    "Event",
    "EventMessage",
    "Example",
    "ExportCheckpoint",
    "Exported",
    "Failure",
    "Finding",
    "FindingsReady",
    "Frame",
    "FromFile",
    "FromFunction",
    "GradMode",
    "GradientCut",
    "Gradients",
    "Hello",
    "Images",
    "InputInfo",
    "InputReady",
    "InputTensor",
    "Inspect",
    "InspectTensor",
    "Inspected",
    "LayerCompany",
    "Learned",
    "Ledger",
    "LedgerEntry",
    "LoadCheckpoint",
    "LoadReport",
    "McDropout",
    "Measure",
    "ModuleCapture",
    "ModuleGradient",
    "Noise",
    "NormCapture",
    "NormEstimate",
    "Open",
    "Opened",
    "OutputField",
    "Preset",
    "Progress",
    "ProtocolError",
    "Python",
    "RandomSource",
    "Ratio",
    "ReEstimate",
    "ReEstimated",
    "Ready",
    "Remedy",
    "Repeatability",
    "RestoreCheckpoint",
    "Row",
    "RowState",
    "Run",
    "SameAnswer",
    "SameAnswerReady",
    "SetFlags",
    "SetInput",
    "SetMode",
    "SetParameters",
    "SetRequiresGrad",
    "Shutdown",
    "Source",
    "StateDictInfo",
    "StatisticsDifference",
    "Stats",
    "TensorDifference",
    "TensorInspected",
    "Trust",
    "Value",
    "Welcome",
    "encode",
    "plain",
    "version_sentence",
]
