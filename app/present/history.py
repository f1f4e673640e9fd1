"""The runs that the pages look back on: the last ones as things stand, and those of the other mode before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelight.protocol import Frame
from modelight.widgets.modes import Mode

LIMIT = 64
"""How many runs are looked back on."""


def mode_of(frame: Frame) -> Mode:
    """The mode that the modules were in during the run."""
    if frame.train and frame.eval:
        return "mixed"
    return "train" if frame.train else "eval"


class RunHistory:
    """Frames of the same model, input, flags and grad mode, newest last.

    A run with a seed that was seen already repeats that run: it takes its place and adds no evidence. When the flags
    change, the frames are set aside as what was *before* under their mode; the pages show them as ghosts.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._frames: list[Frame] = []
        self._aside: dict[Mode, list[Frame]] = {}
        self._forced: dict[Mode, Frame] = {}
        self._latest: list[Frame] = []
        self._flags_alone: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Take a frame in. One of a forced mode is neither the present state nor what was before: see :meth:`other`."""
        if frame.force is not None:
            self._forced[mode_of(frame)] = frame
            return
        if self._frames and _conditions(frame) != _conditions(self._frames[-1]):
            self._set_aside()
        self._aside = {mode: past for mode, past in self._aside.items() if _outside(past[-1]) == _outside(frame)}
        self._forced = {mode: past for mode, past in self._forced.items() if _outside(past) == _outside(frame)}
        if self._frames and _moved(self._frames[-1]):
            # Kept updates changed the weights or buffers: what came before answers for another model.
            self.clear()
        seeds = _seeds(frame)
        self._frames = [*(old for old in self._frames if not _seeds(old) & seeds), frame]
        while len(self._frames) > 1 and self.runs - self._frames[0].repeats >= self._limit:
            self._frames.pop(0)

    def flags_changed(self) -> None:
        """Another state of the flags: the present frames become what was before."""
        self._latest, self._flags_alone = self._frames, []
        self._set_aside()

    def own_train_called(self) -> None:
        """After :meth:`flags_changed`: it was a class's own ``train()`` that changed them, or did more than that.

        What the flags alone had given is shown beside what its own ``train()`` gives, though the mode is the same.
        """
        self._flags_alone = self._latest

    def clear(self) -> None:
        """Another model, checkpoint or input: nothing seen so far can be compared."""
        self._frames.clear()
        self._aside.clear()
        self._forced.clear()
        self._latest, self._flags_alone = [], []

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Frames under the present conditions, oldest first."""
        return tuple(self._frames)

    @property
    def newest(self) -> Frame | None:
        """The latest frame under the present conditions."""
        return self._frames[-1] if self._frames else None

    @property
    def runs(self) -> int:
        """How many different runs the frames hold."""
        return sum(frame.repeats for frame in self._frames)

    @property
    def mode(self) -> Mode | None:
        """The mode of the present frames."""
        return mode_of(self._frames[-1]) if self._frames else None

    @property
    def is_beside_flags_alone(self) -> bool:
        """Whether *before* means: with the same flags, written past the class's own ``train()``."""
        if not self._frames or not self._flags_alone:
            return False
        now, then = self._frames[-1], self._flags_alone[-1]
        return mode_of(now) == mode_of(then) and _conditions(now) == _conditions(then)

    def before(self) -> tuple[Mode | None, tuple[Frame, ...]]:
        """The frames of the other mode (or, of several, those set aside last), and which mode that was.

        Where :attr:`is_beside_flags_alone`, those of the same mode as it was before the class's own ``train()``.
        """
        if self.is_beside_flags_alone:
            return self.mode, tuple(self._flags_alone)
        for mode in _others(self.mode, reversed(self._aside)):
            if mode in self._aside:
                return mode, tuple(self._aside[mode])
        return None, ()

    def other(self) -> tuple[Mode | None, Frame | None]:
        """A frame of the other mode to compare with, run for the purpose or left behind by a flip; and its mode."""
        for mode in _others(self.mode, (*self._forced, *reversed(self._aside))):
            if mode in self._forced:
                return mode, self._forced[mode]
            # Buffers that a run moved and kept are not the ones that the present frame ran with.
            if mode in self._aside and not _moved(self._aside[mode][-1]):
                return mode, self._aside[mode][-1]
        return None, None

    def _set_aside(self) -> None:
        if self._frames:
            mode = mode_of(self._frames[-1])
            self._aside.pop(mode, None)
            self._aside[mode] = self._frames
        self._frames = []


def _others(mode: Mode | None, latest_first: Iterable[Mode]) -> Iterator[Mode]:
    """Modes to look for as *before*: the opposite one first, then the latest that is not the present one."""
    if mode == "train":
        yield "eval"
    elif mode == "eval":
        yield "train"
    yield from (other for other in list(latest_first) if other != mode)


def _seeds(frame: Frame) -> set[int]:
    return set(range(frame.seed, frame.seed + frame.repeats))


def _outside(frame: Frame) -> tuple[object, ...]:
    """What has to be the same for runs of two modes to be compared."""
    return frame.batch, frame.samples


def _conditions(frame: Frame) -> tuple[object, ...]:
    return frame.batch, frame.samples, frame.grad_mode, frame.train, frame.eval


def _moved(frame: Frame) -> bool:
    return frame.ledger.kept and bool(frame.ledger.parameters or frame.ledger.buffers)
