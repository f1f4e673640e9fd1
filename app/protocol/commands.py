"""What the window sends."""

from __future__ import annotations

from typing import Literal

import msgspec

from modelight.protocol.inputs import Source
from modelight.protocol.values import VERSION, GradMode


class Command(msgspec.Struct, frozen=True, tag=True, tag_field="tag", kw_only=True):
    """Base of what the window sends."""

    id: int


class Hello(Command, frozen=True):
    """First command. Replied by :class:`Done`, or :class:`Failure` with ``kind="version"``."""

    version: int = VERSION


Trust = bool | list[str]
"""True: whatever the files hold. SHA-256 of files, as the refusal gave them: a person agreed to what these bytes run,
and a file that has changed since is asked for anew."""


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
    trust: Trust = False
    """A person agreed to run code of the checkpoint's author. Of what the file names, see :data:`Trust`."""
    key: str = ""
    """Which state dict to take, where the file holds several (``ema`` …); empty: the likeliest."""
    align: bool = False
    """Load tensors of other names too, as :attr:`LoadReport.proposed` pairs them."""
    partial: bool = False
    """Where shapes differ, load the block that both have."""


class LoadCheckpoint(Command, frozen=True):
    """Load another checkpoint into the open model. Replied by :class:`Opened` (rows and states anew)."""

    path: str
    trust: Trust = False
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
    over each of their inputs. Those of ``detail`` always are."""


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
    trust: Trust = False
    """A person agreed to run the author's code."""


class InspectTensor(Command, frozen=True):
    """Read every value of one tensor of a checkpoint. Replied by :class:`TensorInspected`."""

    path: str
    name: str
    key: str = ""
    trust: Trust = False


class CompareCheckpoints(Command, frozen=True):
    """Compare every value of two state dicts. Replied by :class:`CheckpointsCompared`."""

    path: str
    other: str
    key: str = ""
    other_key: str = ""
    """Which state dict of the other; empty: the one under ``key`` where it has that, else the likeliest."""
    trust: Trust = False
    """A person agreed to run code of both."""


class Cancel(Command, frozen=True):
    """End the command ``target`` at the next module it reaches. Has no reply of its own."""

    target: int


class Shutdown(Command, frozen=True):
    """End the model process. Has no reply."""


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
