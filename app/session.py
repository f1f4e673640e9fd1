"""The session: one model, its modes, its input, and what is asked of the model process. State is the engine's word.

Widgets never talk to the client. They call methods here, and show what the signals bring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from modelight import protocol as p
from modelight.client import Client
from modelight.consent import consent_for
from modelight.conversation import Conversation
from modelight.cycle import Cycle
from modelight.outcome import Outcome
from modelight.problems import Problem
from modelight.setup import ModeCount, Setup, alias_rows, count_modes
from modelight.undo import Change


class Session(Conversation):
    """Between the widgets and the model process."""

    opening = Signal(str)
    """A model is being opened: its spec."""
    opened = Signal(object)
    """:class:`protocol.Opened`"""
    states_changed = Signal(list)
    """RowStates that are no longer what they were."""
    own_train_called = Signal()
    """After states_changed: it was a class's own ``train()`` that did it."""
    materialised = Signal(object)
    """:class:`protocol.Opened` of the open model, which has modules or parameters now that it had not before its
    run."""
    learned = Signal(list)
    """RowStates of which a run has shown more than was known; no flag changed."""
    pending = Signal(str, bool)
    """A flip was asked for: path, recursive. ``states_changed`` or ``refused`` follows."""
    input_changed = Signal(object)
    """:class:`protocol.InputInfo`, or None."""
    settings_changed = Signal()
    """Grad mode, batch, seed, keep updates or live are no longer what they were."""
    tensors_changed = Signal()
    """Weights, buffers, input, batch or seed are no longer what they were: more than a flag or the grad mode."""
    restored = Signal()
    """Parameters and buffers are those of the checkpoint again."""
    python_ready = Signal(str)
    consent_needed = Signal(object)
    """:class:`Consent`: a checkpoint can only be read by running its author's code."""
    ended = Signal(object)
    """The model process is gone, unwanted: its :class:`Outcome`."""

    def __init__(
        self,
        client: Client,
        parent: QObject | None = None,
        trusted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """``trusted`` says whether a person has agreed to unpickle the file with this SHA-256 before."""
        super().__init__(client, parent)
        self._trusted = trusted
        self.setup: Setup | None = None
        self.model: p.Opened | None = None
        self.states: list[p.RowState] = []
        self.input: p.InputInfo | None = None
        self.versions: p.Ready | None = None
        self.undo = QUndoStack(self)
        self._aliases: set[int] = set()
        self._last_mixed: dict[str, bool] = {}
        self._used = False
        self._resume: Callable[[], None] | None = None
        self.cycle = Cycle(self)
        self.unasked.connect(self._on_unasked)
        client.ended.connect(self._on_ended)

    # ------------------------------------------------------------------------------------------------------- opening

    @property
    def alive(self) -> bool:
        """Whether a model process runs."""
        return self._client.running

    def start_process(self) -> None:
        """Have a model process ready, so that torch is imported by the time a model is chosen."""
        if not self._client.running:
            self._client.start()

    def open(self, setup: Setup) -> None:
        """Open a model as ``setup`` says; flags, parameters and input of the setup are put back once it is there."""
        self.cycle.stop()
        if self.setup is None or self.setup.spec != setup.spec:
            self.undo.clear()  # of the same model, come back after a crash, every step can still be undone
        self.setup = setup
        self.forget()
        self.model = None  # said before anyone hears of it: nothing shall show the old model under the new name
        self.opening.emit(setup.spec)
        if self._used:
            self._client.close()  # Another model gets a process of its own: imports of the last cannot leak into it.
        self._used = True
        self.start_process()
        self.ask(
            setup.command(self.new_id()),
            self._on_opened,
            lambda failure: (
                self.needs_consent(failure, setup.trust, lambda trust: self.open(replace(setup, trust=trust)))
                or self._was_cancelled(failure)
            ),
        )

    def _was_cancelled(self, failure: p.Failure) -> bool:
        """Whether the person gave up opening; without a word the window would seem to go on with it."""
        if failure.kind != "cancelled" or self.setup is None:
            return False
        self.refused.emit()
        text = self.tr("Opening {spec} was cancelled.").format(spec=self.setup.spec)
        self.problem.emit(Problem(text, kind="cancelled"))
        return True

    def restart(self) -> None:
        """After the process's end: the same model again, with modes, parameters, grad mode, inputs and selection."""
        if self.setup is not None:
            live = self.cycle.was_live
            self.open(replace(self.setup))
            self._resume = (lambda: self.cycle.set_live(True)) if live else self.cycle.begin

    def load_checkpoint(
        self, path: str, trust: p.Trust = False, key: str = "", *, align: bool = False, partial: bool = False
    ) -> None:
        """Load another checkpoint into the open model; modes and input stay. See :class:`protocol.LoadCheckpoint`."""
        if self.setup is None or self.model is None:
            return
        self.cycle.interrupt()

        def loaded(event: p.Event) -> None:
            assert self.setup is not None
            chosen = {"trust": trust, "key": key, "align": align, "partial": partial}
            self.setup = replace(self.setup, checkpoint=path, **chosen)  # type: ignore[arg-type]
            self._on_opened(event)

        self.ask(
            p.LoadCheckpoint(id=self.new_id(), path=path, trust=trust, key=key, align=align, partial=partial),
            loaded,
            lambda failure: self.needs_consent(
                failure, trust, lambda agreed: self.load_checkpoint(path, agreed, key, align=align, partial=partial)
            ),
        )

    def reload(self) -> None:
        """Build the model anew from its files as they are now; modes, parameters, input and selection are put back."""
        if self.setup is not None:
            self.open(replace(self.setup))

    def needs_consent(self, failure: p.Failure, trust: p.Trust, again: Callable[[p.Trust], None]) -> bool:
        """Whether the failure asks for consent, and has been dealt with; ``trust`` is what was agreed to before."""
        consent = consent_for(failure, trust, again)
        if consent is None:
            return False
        asked_before = isinstance(trust, list) and consent.sha256 in trust
        if consent.sha256 and self._trusted(consent.sha256) and not asked_before:
            consent.agree()
        else:
            self.refused.emit()
            self.consent_needed.emit(consent)
        return True

    def _on_opened(self, event: p.Event) -> None:
        assert isinstance(event, p.Opened) and self.setup is not None
        wanted, self.model, self.states = self.setup.flags, event, list(event.states)
        self._aliases = alias_rows(event.rows)
        self.setup.flags = self._flags_now()
        self._last_mixed = {}
        self.input = event.input
        self.opened.emit(event)
        self.settings_changed.emit()
        if self.setup.parameters:
            self.ask(p.SetParameters(id=self.new_id(), requires_grad=self.setup.parameters), self._on_changed)
        if wanted and wanted != self.setup.flags:
            known = {path: training for path, training in wanted.items() if path in self.setup.flags}
            self.ask(p.SetFlags(id=self.new_id(), flags=known), self._on_changed)
        self._feed()

    def _on_materialised(self, event: p.Opened) -> None:
        """A lazy model got its parameters in its first run; input and history stay."""
        assert self.setup is not None
        self.model, self.states = event, list(event.states)
        self._aliases = alias_rows(event.rows)
        self.setup.flags = self._flags_now()
        self.materialised.emit(event)
        self.settings_changed.emit()

    def _feed(self) -> None:
        """Give the model its input: what the person chose, else its own example, else noise of a guessed shape."""
        assert self.setup is not None
        if self.setup.sources:
            self.set_input(self.setup.sources)
        elif self.input is not None:
            self.input_changed.emit(self.input)
            self._ready()
        else:
            self.set_input([p.Noise()])

    def _ready(self) -> None:
        resume, self._resume = self._resume, None
        (resume or self.cycle.changed)()

    # --------------------------------------------------------------------------------------------------------- modes

    def set_mode(self, path: str, training: bool, recursive: bool = True) -> None:
        """Flip one module, or its subtree."""
        self.pending.emit(path, recursive)
        text = self.tr("Set {path} {mode}").format(path=path or self.name, mode="train" if training else "eval")
        self._change(p.SetMode(id=self.new_id(), path=path, training=training, recursive=recursive), text)

    def set_flags(self, flags: dict[str, bool], text: str = "") -> None:
        """Write exactly these flags, as one step that can be undone."""
        self._change(p.SetFlags(id=self.new_id(), flags=flags), text or self.tr("Set modes"))

    def preset(self, name: str) -> None:
        """Apply a preset of :class:`protocol.Preset`."""
        self.pending.emit("", True)
        self._change(p.Preset(id=self.new_id(), name=name), self.tr("Preset"))  # type: ignore[arg-type]

    def call_train(self, path: str, training: bool) -> None:
        """Call the module's own ``train()``, overridden or not."""
        command = p.CallTrain(id=self.new_id(), path=path, training=training)
        self._change(command, self.tr("Call train()"), self.own_train_called.emit)

    def bring_back_mixed(self) -> None:
        """The last mixed state again."""
        if self._last_mixed:
            self.set_flags(dict(self._last_mixed), self.tr("Back to mixed"))

    @property
    def can_be_mixed(self) -> bool:
        return bool(self._last_mixed) or self.modes.name == "mixed"

    def set_requires_grad(self, path: str, value: bool) -> None:
        """Freeze or unfreeze the parameters of a subtree."""
        self._change(p.SetRequiresGrad(id=self.new_id(), path=path, value=value), self.tr("Set requires_grad"))

    def _change(self, command: p.Command, text: str, then: Callable[[], object] = lambda: None) -> None:
        self.cycle.interrupt()

        def done(event: p.Event) -> None:
            assert isinstance(event, p.Changed)
            self._remember(event, text)
            self._on_changed(event)
            then()
            self.cycle.changed()

        self.ask(command, done)

    def _remember(self, event: p.Changed, text: str) -> None:
        if event.asked and self.model is not None:
            now = {self.model.rows[state.index].path: state.training for state in event.states}
            after = {path: flag for path in event.asked if (flag := now.get(path)) is not None}
            self.undo.push(Change(text, event.asked, after, self._write_flags))
        if event.parameters:
            after_parameters = {name: not value for name, value in event.parameters.items()}
            self.undo.push(Change(text, event.parameters, after_parameters, self._write_parameters))

    def _write_flags(self, flags: dict[str, bool]) -> None:
        self._write(p.SetFlags(id=self.new_id(), flags=flags))

    def _write_parameters(self, values: dict[str, bool]) -> None:
        self._write(p.SetParameters(id=self.new_id(), requires_grad=values))

    def _write(self, command: p.Command) -> None:
        self.cycle.interrupt()

        def done(event: p.Event) -> None:
            self._on_changed(event)
            self.cycle.changed()

        self.ask(command, done)

    def _on_changed(self, event: p.Event) -> None:
        assert isinstance(event, p.Changed) and self.setup is not None
        if self.modes.name == "mixed":
            self._last_mixed = self._flags_now()
        for name, before in event.parameters.items():
            self.setup.parameters[name] = not before
        for state in event.states:
            self.states[state.index] = state
        self.setup.flags = self._flags_now()
        self.states_changed.emit(event.states)
        self.settings_changed.emit()

    def _flags_now(self) -> dict[str, bool]:
        if self.model is None:
            return {}
        rows = self.model.rows
        return {rows[state.index].path: state.training for state in self.states if state.training is not None}

    @property
    def modes(self) -> ModeCount:
        """Distinct modules by mode."""
        return count_modes(self.states, self._aliases)

    @property
    def name(self) -> str:
        return self.model.name if self.model is not None else ""

    # ------------------------------------------------------------------------------------------------ how runs are made

    def set_grad_mode(self, mode: p.GradMode) -> None:
        """Choose the grad mode of every run from now on; can be undone."""
        if self.setup is None or self.setup.grad_mode == mode:
            return
        self.undo.push(Change(self.tr("Grad mode"), self.setup.grad_mode, mode, self._write_grad_mode))
        self._write_grad_mode(mode)

    def go_to(self, training: bool, grad_mode: p.GradMode) -> None:
        """Every module to one mode, under one grad mode."""
        self.set_grad_mode(grad_mode)
        self.set_mode("", training)

    def _write_grad_mode(self, mode: p.GradMode) -> None:
        self._set(grad_mode=mode)

    def set_batch(self, batch: int) -> None:
        self._set(batch=max(1, batch))

    def set_seed(self, seed: int, fresh: bool = False) -> None:
        self._set(seed=seed, fresh=fresh)

    def set_keep_updates(self, keep: bool) -> None:
        """Let runs change running statistics (True), or put them back after each run."""
        self._set(keep_updates=keep)

    def _set(self, **values: object) -> None:
        if self.setup is None:
            return
        updated = replace(self.setup, **values)  # type: ignore[arg-type]
        if updated == self.setup:
            return
        if (updated.batch, updated.seed) != (self.setup.batch, self.setup.seed):
            self.tensors_changed.emit()
        self.setup = updated
        self.settings_changed.emit()
        if self.model is not None:
            self.cycle.interrupt()
            self.cycle.changed()

    def select(self, path: str) -> None:
        """The module that a person looks at; the next frames compute its figures exactly."""
        if self.setup is not None:
            self.setup.selection = path

    def set_input(self, sources: list[p.Source]) -> None:
        """Choose the input; the old one stays where the new one cannot be had."""
        if self.setup is None:
            return
        self.cycle.interrupt()

        def done(event: p.Event) -> None:
            assert isinstance(event, p.InputReady) and self.setup is not None
            self.input = event.input
            self.setup.sources = list(event.input.sources)
            self.tensors_changed.emit()
            self.input_changed.emit(event.input)
            self._ready()

        self.ask(p.SetInput(id=self.new_id(), sources=sources), done)

    def restore_checkpoint(self) -> None:
        """Put parameters and buffers back to what was loaded, after kept updates."""
        self._write(p.RestoreCheckpoint(id=self.new_id()))
        self.restored.emit()
        self.tensors_changed.emit()

    def ask_python(self) -> None:
        """Ask for the lines that reproduce the flags; ``python_ready`` brings them."""
        if self.setup is not None and self.model is not None:
            self.ask(p.AskPython(id=self.new_id(), grad_mode=self.setup.grad_mode), self._on_python)

    def _on_python(self, event: p.Event) -> None:
        assert isinstance(event, p.Python)
        self.python_ready.emit(event.text)

    # ------------------------------------------------------------------------------------------------------ messages

    def _on_unasked(self, event: p.Event) -> None:
        if isinstance(event, p.Ready):
            self.versions = event
        elif isinstance(event, p.Learned):
            for state in event.states:
                self.states[state.index] = state
            self.learned.emit(event.states)
        elif isinstance(event, p.Opened):
            self._on_materialised(event)

    def _on_ended(self, outcome: Outcome) -> None:
        self.forget()
        self.cycle.lost()
        self.settings_changed.emit()
        if not outcome.wanted:
            self.ended.emit(outcome)
            self.problem.emit(Problem(outcome.sentence, kind="ended", fatal=True))

    def stop_process(self) -> None:
        """End a model process that does not answer any more."""
        self.cycle.remember_live()
        self._client.stop()
        self.problem.emit(
            Problem(
                self.tr("The model process was stopped. Restart brings back the same modes, inputs and selection."),
                kind="ended",
                fatal=True,
            )
        )

    def close(self) -> None:
        """End of the window: nothing may outlive it."""
        self.cycle.stop()
        self.forget()
        self._client.close()
