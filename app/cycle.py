"""What is asked of the model after every change, in which order, and how a live view is paced.

After a change: one run (a picture at once), then more runs for the spread, one run in the other mode (for comparison),
*same input, same answer?*, and the findings. Each is asked for when the last has been answered, so a new change has
nothing to wait for; what is too slow for that is left to *Run*.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from modelight import protocol as p

if TYPE_CHECKING:
    from modelight.session import Session

REPEATS = 16
BURST_MS = 4000
"""How long the runs for the spread may take; a slower model gets fewer."""
AUTOMATIC_MS = 2000
"""A model whose single run takes longer is run only when asked to."""
EXPERIMENT_RUNS = 100
"""About how many runs of the whole input the experiments need."""
COMPARE_RUNS = 8 * REPEATS
"""About how many runs a comparison needs, its flips aside."""
GRADIENT_RUNS = 40
"""About how many forwards of one batch gradients and their cost in time need."""
FRAME_MS = 33
"""A live view is repainted no more often than this."""
PATIENCE_MS = 2000
"""How long a cancelled run may take to reach its next module before the person is offered more."""


class Cycle(QObject):
    """Runs, experiments and the live view of one session."""

    frame = Signal(object)
    """A :class:`protocol.Frame` of the present state."""
    contrast = Signal(object)
    """A :class:`protocol.Frame` with every flag set to the other mode."""
    same = Signal(object)
    """:class:`protocol.SameAnswer`"""
    findings = Signal(object)
    """List of :class:`protocol.Finding`, or None: nobody has looked yet in this state."""
    compared = Signal(object)
    """:class:`protocol.Compared`"""
    gradients = Signal(object)
    """:class:`protocol.Gradients`"""
    measured = Signal(object)
    """:class:`protocol.BatchCurve`, :class:`protocol.Repeatability` or :class:`protocol.McDropout`"""
    restarted = Signal()
    """The state has changed: what was shown belongs to the state before."""
    busy_changed = Signal(bool)
    settled = Signal()
    """Everything that follows a change has been done, or failed."""
    stuck = Signal()
    """A run was cancelled and does not end: it is inside one long call."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._steps: list[Callable[[], p.Command | None]] = []
        self._current = 0
        self.live = False
        self.was_live = False
        self.statistics_shown = False
        """Somebody looks at the statistics of all norm layers: in eval they cost a pass over each of their inputs."""
        self.stale = False
        """The state has changed since the last run, and nobody has run it."""
        self.failed = False
        """The model could not be run in the present state."""
        self.looked = False
        """Findings were looked for in the present state."""
        self.run_ms: float | None = None
        """How long the last single run of the whole input took, in milliseconds."""
        self._done_repeats = 0
        self._clock = QElapsedTimer()
        self._pace = QTimer(self, singleShot=True)
        self._pace.timeout.connect(self._advance)
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self.stuck)

    @property
    def busy(self) -> bool:
        return self._current != 0

    # -------------------------------------------------------------------------------------------------------- wishes

    def changed(self) -> None:
        """The state is another: show it, if that is cheap."""
        self.stale, self.looked, self.failed = True, False, False
        self.restarted.emit()
        if self._session.input is None:
            self.settled.emit()
        elif self.live or self._may_run_unasked():
            self.begin()
        else:
            self.findings.emit(None)
            self.settled.emit()

    def _may_run_unasked(self) -> bool:
        setup = self._session.setup
        if setup is None or setup.keep_updates:
            return False  # A run that moves the statistics is for the person to ask for.
        return self.run_ms is None or self.run_ms < AUTOMATIC_MS

    def begin(self) -> None:
        """*Run*: everything that belongs to the present state."""
        setup = self._session.setup
        if setup is None or not self.ready:
            return
        self.interrupt()
        self._done_repeats = 0
        if setup.fresh:
            setup.seed = random.randrange(2**31)
            self._session.settings_changed.emit()
        steps: list[Callable[[], p.Command | None]] = [self._first_run]
        if not self.live:
            steps += [self._more_runs, self._other_mode, self._same_answer, self._look]
        self._steps = steps
        self._advance()

    def set_live(self, live: bool) -> None:
        """Repeat runs with fresh seeds at the display's pace."""
        if live == self.live:
            return
        self.live = self.was_live = live
        self._session.settings_changed.emit()
        if live:
            self.begin()
        else:
            self.interrupt()
            self.changed()

    def look(self) -> None:
        """*Look for findings*, however long it takes."""
        if not self.busy and self.ready:
            self._steps = [self._ask_findings]
            self._advance()

    def compare(self) -> None:
        """*Compare*: train and eval under each grad mode, and every mode-sensitive module flipped by itself."""
        if self.ready:
            self.interrupt()
            self._steps = [self._ask_compare]
            self._advance()

    def batch_curve(self) -> None:
        """*Batch-mates*: the first samples in growing company."""
        self._measure(self._ask_batch_curve)

    def repeatability(self) -> None:
        """*Repeatability*: the same again, with the same and with other seeds."""
        self._measure(self._ask_repeatability)

    def mc_dropout(self, passes: int) -> None:
        """*MC dropout*: ``passes`` passes with every dropout on, then each alone."""
        self._measure(lambda: self._ask_mc_dropout(passes))

    def _measure(self, step: Callable[[], p.Command]) -> None:
        if self.ready:
            self.interrupt()
            self._steps = [step]
            self._advance()

    def may_compare_unasked(self) -> bool:
        """Whether a comparison is cheap, and nothing else is under way."""
        return not self.busy and not self.live and not self.stale and self._affordable(COMPARE_RUNS)

    def look_at_gradients(self) -> None:
        """*Run backward*: which parameters receive a gradient, and what that costs."""
        if self.ready:
            self.interrupt()
            self._steps = [self._ask_gradients]
            self._advance()

    def may_look_at_gradients(self) -> bool:
        """Whether backward is cheap, and nothing else is under way."""
        return not self.busy and not self.live and not self.stale and self._affordable(GRADIENT_RUNS)

    @property
    def ready(self) -> bool:
        """Whether there is a model, its input and a process that answers: after its end, only *Restart* helps."""
        session = self._session
        return session.alive and session.model is not None and session.input is not None

    def interrupt(self) -> None:
        """Give up what is under way; its answers are not waited for."""
        self._steps = []
        self._pace.stop()
        if self._current:
            self._session.cancel(self._current)
            self._set_current(0)

    def stop(self) -> None:
        """*Stop*: end the live view and the run; says :attr:`stuck` if the run does not end."""
        self.live = self.was_live = False
        self._steps = []
        self._pace.stop()
        if self._current:
            self._session.cancel(self._current)
            self._patience.start()
        self._session.settings_changed.emit()

    def lost(self) -> None:
        """The model process is gone."""
        self.remember_live()
        self._steps = []
        self._pace.stop()
        self._patience.stop()
        self._set_current(0)

    def remember_live(self) -> None:
        """Whether it was live is what *Restart* goes on with."""
        self.was_live, self.live = self.live or self.was_live, False

    # --------------------------------------------------------------------------------------------------------- steps

    def _run(self, seed: int, repeats: int, force: bool | None = None) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.Run(
            id=self._session.new_id(),
            grad_mode=setup.grad_mode,
            seed=seed,
            repeats=repeats,
            batch=setup.batch,
            keep_updates=setup.keep_updates and force is None,
            force=force,
            detail=setup.selection,
            norm_statistics=self.statistics_shown or not self.live,
        )

    def _first_run(self) -> p.Command:
        assert self._session.setup is not None
        seed = random.randrange(2**31) if self.live else self._session.setup.seed
        self._done_repeats = 1
        return self._run(seed, 1)

    def _more_runs(self) -> p.Command | None:
        setup = self._session.setup
        assert setup is not None
        if setup.keep_updates:
            return None  # Each would move the statistics further; that is for the person to ask for.
        repeats = min(REPEATS - 1, int(BURST_MS / max(self.run_ms or 0.0, 1e-3)))
        return self._run(setup.seed + 1, repeats) if repeats > 0 else None

    def _other_mode(self) -> p.Command | None:
        assert self._session.setup is not None
        other = self._session.modes.name == "eval"
        return self._run(self._session.setup.seed, 1, force=other) if self._affordable(1) else None

    def _same_answer(self) -> p.Command | None:
        setup = self._session.setup
        assert setup is not None
        if not self._affordable(REPEATS * 3):
            return None
        return p.AskSame(id=self._session.new_id(), grad_mode=setup.grad_mode, seed=setup.seed, runs=REPEATS)

    def _look(self) -> p.Command | None:
        if self._affordable(EXPERIMENT_RUNS):
            return self._ask_findings()
        self.findings.emit(None)
        return None

    def _ask_findings(self) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskFindings(
            id=self._session.new_id(),
            grad_mode=setup.grad_mode,
            seed=setup.seed,
            batch=setup.batch,
            keep_updates=setup.keep_updates,
        )

    def _ask_compare(self) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskCompare(
            id=self._session.new_id(), seed=setup.seed, batch=setup.batch, runs=REPEATS, grad_mode=setup.grad_mode
        )

    def _ask_gradients(self) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskGradients(id=self._session.new_id(), seed=setup.seed, batch=setup.batch)

    def _ask_batch_curve(self) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskBatchCurve(id=self._session.new_id(), grad_mode=setup.grad_mode, seed=setup.seed)

    def _ask_repeatability(self) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskRepeatability(
            id=self._session.new_id(), grad_mode=setup.grad_mode, seed=setup.seed, batch=setup.batch
        )

    def _ask_mc_dropout(self, passes: int) -> p.Command:
        setup = self._session.setup
        assert setup is not None
        return p.AskMcDropout(
            id=self._session.new_id(), grad_mode=setup.grad_mode, seed=setup.seed, batch=setup.batch, passes=passes
        )

    def _affordable(self, runs: int) -> bool:
        return self.run_ms is not None and self.run_ms * runs < 5 * BURST_MS

    # ------------------------------------------------------------------------------------------------------- answers

    def _advance(self) -> None:
        while self._steps:
            command = self._steps.pop(0)()
            if command is not None:
                self._clock.start()
                self._set_current(command.id)
                self._session.ask(command, self._on_answer(command.id), self._on_failure(command))
                return
        self._set_current(0)
        self.settled.emit()

    def _on_answer(self, command_id: int) -> Callable[[p.Event], None]:
        def answer(event: p.Event) -> None:
            self._patience.stop()
            if self._current != command_id:
                return  # of a state that has passed
            self._show(event)
            if self.live and not self._steps:
                self._steps = [self._first_run]
                self._pace.start(max(1, FRAME_MS - int(self._clock.elapsed())))
            else:
                self._advance()

        return answer

    def _show(self, event: p.Event) -> None:
        if isinstance(event, p.Frame):
            if event.ledger.kept:
                self._session.tensors_changed.emit()
            if event.repeats == 1:
                self.run_ms = event.milliseconds * max(1, event.forwards)
            if event.force is not None:
                self.contrast.emit(event)
            else:
                self.stale = self.failed = False
                self.frame.emit(event)
        elif isinstance(event, p.SameAnswerReady):
            self.same.emit(event.same)
        elif isinstance(event, p.FindingsReady):
            self.looked = True
            self.findings.emit(event.findings)
        elif isinstance(event, p.Compared):
            self.compared.emit(event)
        elif isinstance(event, p.BatchCurve | p.Repeatability | p.McDropout):
            self.measured.emit(event)
        elif isinstance(event, p.Gradients):
            self.gradients.emit(event)

    def _on_failure(self, command: p.Command) -> Callable[[p.Failure], bool]:
        def fail(failure: p.Failure) -> bool:
            self._patience.stop()
            if self._current != command.id:
                return True
            if failure.kind == "run" and _is_beside(command):
                self._advance()
                return True
            self.live = False
            # A model that cannot run is when findings are wanted most: they may know which mode is to blame.
            self.failed = failure.kind == "run" and isinstance(command, p.Run)
            self._steps = [self._ask_findings] if self.failed else []
            self._advance()
            self._session.settings_changed.emit()
            return False

        return fail

    def _set_current(self, command_id: int) -> None:
        was, self._current = self.busy, command_id
        if was != self.busy:
            self.busy_changed.emit(self.busy)


def _is_beside(command: p.Command) -> bool:
    """Whether the person did not ask for this run: that the model cannot do it (one sample alone through a batch norm
    in train, the other mode without its targets) says nothing against the run they see."""
    return isinstance(command, p.AskSame) or (isinstance(command, p.Run) and command.force is not None)
