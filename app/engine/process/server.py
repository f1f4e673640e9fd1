"""Commands to functions: one handler each. The only place of the engine that keeps state between commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from msgspec.structs import replace

from modelight import protocol as p
from modelight.engine import experiments, findings
from modelight.engine.api import Snapshot, snapshot
from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments import gradients, matrix, reestimate, repaired
from modelight.engine.experiments.batch_curve import batch_curve
from modelight.engine.experiments.mc_dropout import mc_dropout
from modelight.engine.experiments.repeatability import repeatability
from modelight.engine.inspect import handlers
from modelight.engine.loading import checkpoint, inputs, opening
from modelight.engine.modules import as_python, heard, modes
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner
from modelight.engine.process import importing
from modelight.engine.process.failures import failure
from modelight.engine.process.files import files
from modelight.engine.process.inbox import Inbox

Send = Callable[[p.Event], None]
_Seeded = p.AskBatchCurve | p.AskRepeatability | p.AskMcDropout


def devices() -> list[str]:
    """Devices that a model may be put on, as torch names them."""
    found = ["cpu"]
    found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


class Server:
    """One open model, its input, and what to do with each command."""

    def __init__(self, send: Send, inbox: Inbox) -> None:
        self._send = send
        self._inbox = inbox
        self._model: opening.OpenModel | None = None
        self._rows: Rows | None = None
        self._inputs: Inputs | None = None
        self._info: p.InputInfo | None = None
        self._directory = ""
        self._baseline: Snapshot | None = None
        self._estimate: reestimate.Estimate | None = None
        self._handlers: dict[type, Callable[[Any], p.Event]] = {
            p.Hello: self._hello,
            p.Open: self._open,
            p.LoadCheckpoint: self._load_checkpoint,
            p.SetInput: self._set_input,
            p.SetMode: self._set_mode,
            p.SetFlags: self._set_flags,
            p.Preset: self._preset,
            p.SetRequiresGrad: self._set_requires_grad,
            p.SetParameters: self._set_parameters,
            p.CallTrain: self._call_train,
            p.Run: self._run,
            p.AskSame: self._same,
            p.AskFindings: self._findings,
            p.AskCompare: self._compare,
            p.AskBatchCurve: self._batch_curve,
            p.AskRepeatability: self._repeatability,
            p.AskMcDropout: self._mc_dropout,
            p.AskGradients: self._gradients,
            p.ReEstimate: self._reestimate,
            p.ExportCheckpoint: self._export,
            p.Inspect: self._inspect,
            p.InspectTensor: self._inspect_tensor,
            p.CompareCheckpoints: self._compare_checkpoints,
            p.RestoreCheckpoint: self._restore,
            p.AskPython: self._python,
        }

    def serve(self) -> None:
        """Carry out commands until Shutdown. (The inbox ends the process when the window is gone.)"""
        while True:
            command = self._inbox.next()
            if isinstance(command, p.Shutdown):
                return
            self._send(self.answer(command))
            self._inbox.forget(command.id)

    def answer(self, command: p.Command) -> p.Event:
        """Carry out one command; whatever goes wrong in the user's code becomes a Failure."""
        try:
            if self._inbox.is_cancelled(command.id):
                raise Cancelled
            return self._handlers[type(command)](command)
        except BaseException as error:  # SystemExit too: sys.exit() in a model must not end the process silently
            return failure(command.id, error)

    # ------------------------------------------------------------------------------------------------- what is open

    def _opened(self) -> tuple[opening.OpenModel, Rows]:
        if self._model is None or self._rows is None:
            raise EngineError("Open a model first.", kind="internal")
        return self._model, self._rows

    def _fed(self) -> tuple[Inputs, p.InputInfo]:
        if self._inputs is None or self._info is None:
            raise EngineError("Choose an input first.", kind="input", clause=p.Clause("no-input"))
        return self._inputs, self._info

    def _progress(self, command: p.Command) -> Callable[[p.Clause, float | None], None]:
        return lambda what, fraction: self._send(p.Progress(id=command.id, what=what, fraction=fraction))

    def _watched(self, command: p.Command) -> dict[str, Any]:
        """What long work is given: whom to tell how far it is, and whom to ask whether to go on."""
        return {"progress": self._progress(command), "should_stop": self._should_stop(command)}

    def _should_stop(self, command: p.Command) -> Callable[[], bool]:
        return lambda: self._inbox.is_cancelled(command.id)

    # ------------------------------------------------------------------------------------------------------ handlers

    def _hello(self, command: p.Hello) -> p.Event:
        if command.version != p.VERSION:
            raise EngineError(p.version_sentence(command.version), kind="version")
        return p.Done(id=command.id)

    def _open(self, command: p.Open) -> p.Event:
        with importing.told(self._progress(command)) as progress:
            model = opening.open_model(command, progress=progress, should_stop=self._should_stop(command))
        self._model, self._rows, self._directory = model, Rows(model.module), command.directory
        self._inputs, self._info = model.example if model.example is not None else (None, None)
        self._baseline = self._estimate = None
        return self._describe(command.id)

    def _describe(self, command_id: int) -> p.Opened:
        model, rows = self._opened()
        return p.Opened(
            id=command_id,
            name=model.name,
            type=type(model.module).__name__,
            rows=rows.rows,
            states=rows.states(),
            report=model.report,
            input=self._info,
            input_problem=model.example_problem,
            notes=list(model.notes),
            device=str(model.device),
            classes=list(model.classes),
            parameters={name: value.requires_grad for name, value in model.module.named_parameters()},
            files=files(model, self._directory),
        )

    def _load_checkpoint(self, command: p.LoadCheckpoint) -> p.Event:
        model, _ = self._opened()
        self._model = checkpoint.reload(
            model,
            command.path,
            progress=self._progress(command),
            trust=command.trust,
            key=command.key,
            align=command.align,
            partial=command.partial,
        )
        self._baseline = self._estimate = None
        return self._describe(command.id)

    def _set_input(self, command: p.SetInput) -> p.Event:
        model, _ = self._opened()
        self._inputs, self._info = inputs.prepare(
            command.sources,
            model,
            directory=self._directory,
            **self._watched(command),
        )
        return p.InputReady(id=command.id, input=self._info)

    def _change(self, command: p.Command, action: Callable[[Rows], object]) -> p.Event:
        _, rows = self._opened()
        before, states = modes.change(rows, lambda: action(rows))
        return p.Changed(id=command.id, states=states, asked=before)

    def _set_mode(self, command: p.SetMode) -> p.Event:
        return self._change(
            command, lambda rows: modes.set_training(rows, command.path, command.training, command.recursive)
        )

    def _set_flags(self, command: p.SetFlags) -> p.Event:
        return self._change(command, lambda rows: modes.set_flags(rows, command.flags))

    def _preset(self, command: p.Preset) -> p.Event:
        return self._change(command, lambda rows: modes.apply_preset(rows, command.name))

    def _call_train(self, command: p.CallTrain) -> p.Event:
        return self._change(command, lambda rows: modes.call_own_train(rows, command.path, command.training))

    def _set_requires_grad(self, command: p.SetRequiresGrad) -> p.Event:
        return self._change_parameters(
            command, lambda module: modes.set_requires_grad(module, command.path, command.value)
        )

    def _set_parameters(self, command: p.SetParameters) -> p.Event:
        return self._change_parameters(command, lambda module: modes.set_parameters(module, command.requires_grad))

    def _change_parameters(self, command: p.Command, action: Callable[[torch.nn.Module], dict[str, bool]]) -> p.Event:
        model, rows = self._opened()
        states = rows.states()
        before = action(model.module)
        return p.Changed(id=command.id, states=rows.changed(states), parameters=before)

    def _run(self, command: p.Run) -> p.Event:
        model, rows = self._opened()
        batches, _ = self._fed()
        if command.keep_updates and self._baseline is None:
            # Runs leave no trace until they are allowed to, so this still is what was loaded.
            self._baseline = snapshot(model.module)
        frame = runner.run(
            model.module,
            batches,
            command,
            rows=rows,
            checkpoint=model.checkpoint_buffers,
            **self._watched(command),
        )
        self._tell_what_was_shown(rows, frame)
        return frame

    def _tell_what_was_shown(self, rows: Rows, frame: p.Frame) -> None:
        """A run may show what no flag tells: code that reads its flag, dropouts that ignore it, statistics that moved.

        A lazy model has its modules only after its first run; then the whole tree is told anew.
        """
        if rows.outdated():
            self._rows = Rows(rows.root)
            self._send(self._describe(0))
            return
        known = rows.known()
        states = rows.hear(heard.of(rows, frame.reads, frame.dropouts))
        if frame.ledger.kept:
            states = rows.changed(known)
        if states:
            self._send(p.Learned(states=states))

    def _same(self, command: p.AskSame) -> p.Event:
        model, rows = self._opened()
        batches, _ = self._fed()
        same = experiments.same_answer(
            model.module,
            batches,
            rows,
            grad_mode=command.grad_mode,
            seed=command.seed,
            runs=command.runs,
            should_stop=self._should_stop(command),
        )
        return p.SameAnswerReady(id=command.id, same=same)

    def _findings(self, command: p.AskFindings) -> p.Event:
        model, rows = self._opened()
        batches, info = self._fed()
        found = findings.look(
            model.module,
            batches,
            info,
            rows,
            command,
            checkpoint_buffers=model.checkpoint_buffers,
            **self._watched(command),
        )
        return p.FindingsReady(id=command.id, findings=found)

    def _compare(self, command: p.AskCompare) -> p.Event:
        model, rows = self._opened()
        batches, info = self._fed()
        compared = matrix.compare(
            model.module,
            batches,
            rows,
            seed=command.seed,
            batch=command.batch,
            runs=command.runs,
            grad_mode=command.grad_mode,
            info=info,
            classes=model.classes,
            **self._watched(command),
        )
        return replace(compared, id=command.id)

    def _gradients(self, command: p.AskGradients) -> p.Event:
        model, rows = self._opened()
        batches, info = self._fed()
        return gradients.gradients(
            model.module,
            batches,
            rows,
            command,
            info=info,
            classes=model.classes,
            **self._watched(command),
        )

    def _batch_curve(self, command: p.AskBatchCurve) -> p.Event:
        return self._experiment(command, batch_curve, runs=command.runs)

    def _repeatability(self, command: p.AskRepeatability) -> p.Event:
        return self._experiment(command, repeatability, batch=command.batch, runs=command.runs)

    def _mc_dropout(self, command: p.AskMcDropout) -> p.Event:
        return self._experiment(command, mc_dropout, batch=command.batch, passes=command.passes)

    def _experiment(self, command: _Seeded, experiment: Callable[..., p.Event], **how: int) -> p.Event:
        model, rows = self._opened()
        batches, info = self._fed()
        found = experiment(
            model.module,
            batches,
            rows,
            seed=command.seed,
            grad_mode=command.grad_mode,
            info=info,
            classes=model.classes,
            **self._watched(command),
            **how,
        )
        return replace(found, id=command.id)

    def _reestimate(self, command: p.ReEstimate) -> p.Event:
        model, rows = self._opened()
        batches, info = self._fed()
        self._estimate = reestimate.reestimate(
            model.module,
            batches,
            rows,
            command,
            info=info,
            classes=model.classes,
            **self._watched(command),
        )
        return self._estimate.reply

    def _export(self, command: p.ExportCheckpoint) -> p.Event:
        model, rows = self._opened()
        if self._estimate is None or self._estimate.reply.id != command.estimate:
            raise EngineError(
                "These statistics are no longer those of the open model: estimate them again.",
                kind="checkpoint",
                clause=p.Clause("estimate-outdated"),
            )
        original = None if model.report is None else model.report.path
        return repaired.export(model.module, rows, self._estimate, command, original)

    def _inspect(self, command: p.Inspect) -> p.Event:
        return handlers.handle(command, **self._watched(command))

    def _inspect_tensor(self, command: p.InspectTensor) -> p.Event:
        return handlers.handle_tensor(command, **self._watched(command))

    def _compare_checkpoints(self, command: p.CompareCheckpoints) -> p.Event:
        return handlers.handle_pair(command, **self._watched(command))

    def _restore(self, command: p.RestoreCheckpoint) -> p.Event:
        _, rows = self._opened()
        states = rows.states()
        flags = modes.flags(rows)
        if self._baseline is not None:
            self._baseline.restore()
            modes.set_flags(rows, flags)  # what the person set by hand stays
        return p.Changed(id=command.id, states=rows.changed(states))

    def _python(self, command: p.AskPython) -> p.Event:
        model, rows = self._opened()
        text = as_python.text(rows, command.grad_mode)
        inside = "".join(
            f"model = model.module  # what {note.values['type']} wraps\n"
            for note in model.notes
            if note.id == "parallel-unwrapped"
        )
        return p.Python(id=command.id, text=inside + text)
