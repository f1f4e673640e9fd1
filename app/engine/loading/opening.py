"""Opening a model: build what the spec names, load its checkpoint, take its example."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from msgspec import structs
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import (
    Cancelled,
    EngineError,
    ReportProgress,
    ShouldStop,
    is_out_of_memory,
    never_stop,
    no_progress,
    said,
    told,
)
from modelight.engine.loading import arguments, checkpoint, inputs, signatures, sources, spec, trial, whole
from modelight.engine.loading.paths import located
from modelight.engine.loading.pieces import Piece, join, piece_of, refuse
from modelight.engine.loading.spec import Resolved, Spec
from modelight.engine.modules import structure
from modelight.engine.observing import rng
from modelight.protocol import Clause, Example, InputInfo, LoadReport, Open


@dataclass(frozen=True)
class OpenModel:
    """A model that stands ready, as its own code and the checkpoint left it."""

    module: nn.Module
    name: str
    """The file's stem or the module's last part."""
    source: ModuleType | None
    """The module that built it; None for a model that was read whole from a file."""
    report: LoadReport | None
    checkpoint_buffers: dict[str, torch.Tensor]
    """Copies of the buffers as they were after loading (without a checkpoint: after construction)."""
    classes: tuple[str, ...]
    device: torch.device
    offered: Piece | None = None
    """All that ``example_input()`` gave."""
    example: tuple[Inputs, InputInfo] | None = None
    """The same, ready to run."""
    example_problem: Clause | None = None
    """Why there is no example although the file offers one."""
    notes: tuple[Clause, ...] = ()
    """How what was built became :attr:`module`."""


def open_model(
    command: Open, *, progress: ReportProgress = no_progress, should_stop: ShouldStop = never_stop
) -> OpenModel:
    """Import, build, load and move a model. The modes are exactly those in which the user's code left it.

    Raises:
        EngineError: kind ``spec``, ``import``, ``build``, ``checkpoint``, ``consent``, ``memory`` or ``cancelled``.
    """
    device = _device(command.device)
    rng.seed(command.seed)
    built, resolved, name = _construct(command, progress, should_stop)
    module, notes = _unwrapped(built)
    source = resolved.source if resolved is not None else None
    _check(should_stop)
    path = _checkpoint_path(command, source)
    report = None
    if path is not None:
        report = _filled(module, path, resolved, command, progress)
    _check(should_stop)
    model = OpenModel(
        module=_move(module, device),
        name=name,
        source=source,
        report=report,
        checkpoint_buffers=checkpoint.copy_buffers(module),
        classes=_classes(source, module),
        device=device,
        notes=notes,
    )
    rng.seed(command.seed)
    return _with_example(model, progress, should_stop)


PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def _construct(
    command: Open, progress: ReportProgress, should_stop: ShouldStop
) -> tuple[nn.Module, Resolved | None, str]:
    """(the module, what it was built by if not read whole, its short name)"""
    path = whole.find(command.spec, command.directory)
    if path is not None:
        progress(Clause("reading-checkpoint", {"file": path.name}), None)
        return whole.load(path, command.directory, command.trust), None, path.stem
    parsed = spec.parse(command.spec)
    progress(Clause("importing", {"what": parsed.file or parsed.module}), None)
    resolved = spec.resolve(parsed, command.directory)
    _check(should_stop)
    progress(Clause("building", {"what": parsed.attribute}), None)
    rng.seed(command.seed)
    try:
        return build(resolved), resolved, parsed.name
    except EngineError as error:
        weights = _checkpoint_path(command, resolved.source)
        raise arguments.explain(error, resolved, weights, command.directory) from error.__cause__


def _unwrapped(built: nn.Module) -> tuple[nn.Module, tuple[Clause, ...]]:
    """The model inside its wrappers, which has the same weights and flags.

    Compiled, a model would be compiled anew at every flip, and nothing inside it heard; paths are the same, since that
    wrapper hands them on. DataParallel only spreads the batch over devices; in the person's own code paths begin with
    ``module.``, which the note says.
    """
    notes: list[Clause] = []
    while True:
        if structure.is_compiled(built) and isinstance(inner := getattr(built, "_orig_mod", None), nn.Module):
            notes.append(Clause("compiled-unwrapped"))
        elif isinstance(built, PARALLEL) and isinstance(inner := built.module, nn.Module):
            notes.append(Clause("parallel-unwrapped", {"type": type(built).__name__}))
        else:
            return built, tuple(notes)
        built = inner


def _filled(
    module: nn.Module, path: str, resolved: Resolved | None, command: Open, progress: ReportProgress
) -> LoadReport:
    """Load the checkpoint; where shapes differ, say which arguments it was made with."""
    try:
        report = checkpoint.load_into(
            module,
            path,
            progress=progress,
            trust=command.trust,
            key=command.key,
            align=command.align,
            partial=command.partial,
        )
    except EngineError as error:
        if resolved is None or error.clause is not None:
            raise
        raise arguments.explain(error, resolved, path) from error.__cause__
    if resolved is None or not report.mismatched:
        return report
    return structs.replace(report, notes=report.notes + arguments.notes(resolved, path))


def build(resolved: Resolved) -> nn.Module:
    """The module that a resolved spec names: built, or taken as it is.

    Raises:
        EngineError: kind ``spec`` if the thing builds no module, ``build`` if its code failed, ``memory``.
    """
    target, parsed = resolved.target, resolved.spec
    if isinstance(target, nn.Module):
        if parsed.called:
            raise EngineError(
                f"{parsed.attribute} is a model already, not something that builds one: leave the parentheses out.",
                kind="spec",
            )
        return target
    if not callable(target):
        kind = type(target).__name__
        raise EngineError(f"{parsed.attribute} is a {kind}, which builds no model{_offered(resolved)}.", kind="spec")
    built = _guarded(lambda: target(*parsed.args, **parsed.kwargs), target, parsed)
    if not isinstance(built, nn.Module):
        raise EngineError(_no_module(built, resolved), kind="build")
    return built


def _guarded(construct: Callable[[], Any], target: Any, parsed: Spec) -> Any:
    what = parsed.attribute
    try:
        return construct()
    except Cancelled:
        raise
    except SystemExit as error:
        raise EngineError(f"{what} called sys.exit() instead of returning a model.", kind="build") from error
    except KeyboardInterrupt:
        raise  # in a terminal it is the person's own
    except BaseException as error:
        if is_out_of_memory(error):
            raise EngineError(f"{what} does not fit into memory.", kind="memory") from error
        if _is_about_arguments(error):
            raise EngineError(f"{what} could not be built: {error}.{_signature(target)}", kind="build") from error
        problem = f"{told(error)}{sources.place(error)}"
        raise EngineError(f"{what} could not be built: {problem}.", kind="build") from error


def _is_about_arguments(error: BaseException) -> bool:
    """Whether it was the call itself that failed: the constructor's own code has not begun."""
    return isinstance(error, TypeError) and "argument" in said(error) and not sources.place(error)


def _signature(target: Any) -> str:
    try:
        parameters = inspect.signature(target)
    except (TypeError, ValueError):
        return ""
    name = getattr(target, "__name__", "it")
    shown = parameters.replace(return_annotation=inspect.Signature.empty)
    return f" Its arguments are {name}{shown}: write them after the name, as literals."


def _no_module(built: Any, resolved: Resolved) -> str:
    what = resolved.spec.attribute
    if isinstance(built, (tuple, list)) and any(isinstance(item, nn.Module) for item in built):
        return (
            f"{what} returned {len(built)} things, a model among them: write a function that returns the model alone."
        )
    kind = "nothing" if built is None else f"an object of type {type(built).__name__}"
    return f"{what} returned {kind}, not a torch.nn.Module{_offered(resolved)}."


def _offered(resolved: Resolved) -> str:
    names = [name for name in spec.offers(resolved.source) if name != resolved.spec.attribute][:8]
    return f"; {resolved.spec.file or resolved.spec.module} offers {', '.join(names)}" if names else ""


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # The first sentence: torch goes on to list every backend that it knows.
        words = said(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        raise EngineError(f"The device “{name}” cannot be used here: {words}.", kind="build") from error
    if device.type == "meta":
        raise EngineError("The device “meta” holds no values: a model there cannot be run. Choose cpu.", kind="build")
    return device


def _move(module: nn.Module, device: torch.device) -> nn.Module:
    """The module on ``device``, wherever its own code put it (``DataParallel`` takes the first CUDA device)."""
    elsewhere = {tensor.device.type for tensor in (*module.parameters(), *module.buffers())} - {"cpu", "meta"}
    if device.type == "cpu" and not elsewhere:
        return module
    try:
        return module.to(device)
    except Exception as error:
        if is_out_of_memory(error):
            raise EngineError(
                f"The model does not fit into the memory of {device}: choose the device cpu, or free memory there.",
                kind="memory",
            ) from error
        raise EngineError(f"The model cannot be moved to {device}: {error}", kind="build") from error


def _checkpoint_path(command: Open, source: ModuleType | None) -> str | None:
    """The one asked for, else the file's own ``CHECKPOINT``, else the weights in the folder that is the model."""
    if command.checkpoint:
        return str(located(command.checkpoint, command.directory))
    if source is None:
        path = whole.find(command.spec, command.directory)
        return str(path) if path is not None and path.is_dir() else None
    offered = getattr(source, "CHECKPOINT", None)
    if not isinstance(offered, (str, os.PathLike)):
        return None
    return str(Path(getattr(source, "__file__", None) or ".").parent / Path(offered))


def _classes(source: ModuleType | None, module: nn.Module) -> tuple[str, ...]:
    """Names of the classes: ``CLASSES`` of the file, else what a configuration of transformers says."""
    names = getattr(source, "CLASSES", None)
    if isinstance(names, (list, tuple)):
        return tuple(str(name) for name in names)
    known = getattr(getattr(module, "config", None), "id2label", None)
    if not isinstance(known, dict) or set(known) != set(range(len(known))):
        return ()
    words = tuple(str(known[index]) for index in range(len(known)))
    # LABEL_0, LABEL_1 … is what transformers makes up where nobody named them.
    return () if words and words[0] == "LABEL_0" else words


def _check(should_stop: ShouldStop) -> None:
    if should_stop():
        raise Cancelled()


def _with_example(model: OpenModel, progress: ReportProgress, should_stop: ShouldStop) -> OpenModel:
    """Take the file's ``example_input()``; what goes wrong in it is told, and the model opens all the same."""
    try:
        offered = _offered_example(model, should_stop)
        if offered is None:
            return model
        model = replace(model, offered=offered)
        ready = inputs.prepare([Example()], model, progress=progress, should_stop=should_stop)
    except Cancelled:
        raise
    except EngineError as error:
        return replace(model, offered=None, example_problem=Clause("example-failed", {"error": str(error)}))
    return replace(model, example=ready)


def _offered_example(model: OpenModel, should_stop: ShouldStop) -> Piece | None:
    """``example_input()`` of the file, else what Lightning and transformers models offer as an example."""
    function = getattr(model.source, "example_input", None)
    if callable(function):
        given = piece_of(inputs.call(function, "example_input()"), _labels(model.source), "example_input()")
        return _captioned(given, model.source)
    for name in ("example_input_array", "dummy_inputs"):
        value = inputs.call(partial(getattr, model.module, name, None), name)
        piece = piece_of(value, what=name) if value is not None else None
        if piece is not None and _is_taken(piece, model, should_stop):
            return replace(piece, notes=(Clause("example-from-model", {"name": name}),))
    return None


def _is_taken(piece: Piece, model: OpenModel, should_stop: ShouldStop) -> bool:
    """Whether the model takes it: transformers offers token ids to every model, those for pictures and sound too."""
    names = {parameter.name for parameter in signatures.parameters(model.module)}
    if not set(piece.kwargs) <= names:
        return False
    args, kwargs = join([inputs.adapted(piece, model)])
    return trial.attempt(trial.stand_in(model.module), args, kwargs, should_stop).error is None


def _captioned(piece: Piece, source: ModuleType | None) -> Piece:
    """With the file's own word for each sample, where it offers one per sample."""
    function = getattr(source, "example_captions", None)
    if not callable(function):
        return piece
    captions = tuple(str(caption) for caption in inputs.call(function, "example_captions()"))
    if len(captions) != piece.samples:
        raise refuse(f"example_captions() must return one text per sample: {piece.samples}, not {len(captions)}.")
    return replace(piece, captions=captions, captioned=True)


def _labels(source: ModuleType | None) -> list[int | None]:
    function = getattr(source, "example_labels", None)
    if not callable(function):
        return []
    found = inputs.call(function, "example_labels()")
    try:
        return [None if label is None else int(label) for label in found]
    except (TypeError, ValueError) as error:
        raise refuse("example_labels() must return one whole number per sample.") from error
