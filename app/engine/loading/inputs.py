"""What runs are fed: the chosen sources, joined along the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from modelight.engine.batches import Inputs
from modelight.engine.errors import EngineError, ReportProgress, ShouldStop, is_out_of_memory, never_stop, no_progress
from modelight.engine.loading import images, noise, signatures, sources, spec, tensorfiles
from modelight.engine.loading.pieces import Piece, join, piece_of, refuse, select
from modelight.engine.loading.thumbnails import thumbnails
from modelight.protocol import (
    Array,
    Clause,
    Example,
    FromFile,
    FromFunction,
    Images,
    InputInfo,
    InputTensor,
    Noise,
    Source,
)

if TYPE_CHECKING:
    from modelight.engine.loading.opening import OpenModel


def prepare(
    chosen: Sequence[Source],
    open_model: OpenModel,
    *,
    directory: str = "",
    progress: ReportProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> tuple[Inputs, InputInfo]:
    """Get every source's samples and join them, in their order, for the open model.

    Floating tensors are cast to the model's floating dtype and everything is moved to its device; integers stay.

    Raises:
        EngineError: kind ``input``, with a sentence; ``cancelled`` if ``should_stop`` said so while a shape was tried.
    """
    if not chosen:
        raise refuse("No input is chosen: choose noise, a file or the model's own example.")
    pieces: list[Piece | None] = [None] * len(chosen)
    # Noise takes its shape from the others, so it comes last, whatever its place.
    for position, source in enumerate(chosen):
        if not isinstance(source, Noise):
            pieces[position] = adapted(_piece(source, open_model, directory), open_model)
    model_like = next((piece for piece in pieces if piece is not None), None) or _example(open_model)
    for position, source in enumerate(chosen):
        if isinstance(source, Noise):
            piece = noise.draw(source, open_model.module, model_like, open_model.device, progress, should_stop)
            pieces[position] = adapted(piece, open_model)
    return _joined(list(chosen), [piece for piece in pieces if piece is not None], open_model)


def _example(open_model: OpenModel) -> Piece | None:
    return None if open_model.offered is None else adapted(open_model.offered, open_model)


def _piece(source: Source, open_model: OpenModel, directory: str) -> Piece:
    if isinstance(source, Example):
        if open_model.offered is None:
            raise refuse(f"{open_model.name} offers no example_input().")
        return select(open_model.offered, source.samples, "example_input()")
    if isinstance(source, FromFile):
        return tensorfiles.read(source, directory, [p.name for p in signatures.parameters(open_model.module)])
    if isinstance(source, Images):
        return images.read(source, directory)
    if isinstance(source, FromFunction):
        return _from_function(source, directory)
    raise refuse(f"{type(source).__name__} is no kind of input.")


def _from_function(source: FromFunction, directory: str) -> Piece:
    parsed = spec.parse(source.spec)
    try:
        target = spec.resolve(parsed, directory, beside=True).target
    except EngineError as error:
        raise EngineError(str(error), kind="input") from error
    value = call(lambda: target(*parsed.args, **parsed.kwargs), source.spec) if callable(target) else target
    return select(piece_of(value, what=source.spec), source.samples, source.spec)


def call(function: Callable[[], Any], what: str) -> Any:
    """Call a person's function, and say what went wrong in it.

    Raises:
        EngineError: kind ``input``.
    """
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise refuse(f"{what} failed: {type(error).__name__}: {error}{sources.place(error)}") from error


def adapted(piece: Piece, open_model: OpenModel) -> Piece:
    """The piece on the model's device, floats in the model's dtype, with a note where that changed them."""
    dtype = signatures.floating_dtype(open_model.module)
    changed: dict[str, None] = {}

    def adapt(tensor: torch.Tensor) -> torch.Tensor:
        target = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        if target != tensor.dtype:
            changed[str(tensor.dtype).removeprefix("torch.")] = None
        return tensor.detach().to(open_model.device, target)

    try:
        moved = piece.map(adapt)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise EngineError(f"The input does not fit into the memory of {open_model.device}.", kind="memory") from error
    target = str(dtype).removeprefix("torch.")
    notes = [Clause("input-dtype", {"source": source, "target": target}) for source in changed]
    return replace(moved, notes=(*piece.notes, *notes))


def _joined(chosen: list[Source], pieces: list[Piece], open_model: OpenModel) -> tuple[Inputs, InputInfo]:
    args, kwargs = join(pieces)
    samples = sum(piece.samples for piece in pieces)
    labels = tuple(label for piece in pieces for label in piece.labels)
    is_noise = [piece.is_noise for piece in pieces for _ in range(piece.samples)]
    whole = Piece(args, kwargs, samples, pieces[0].splittable)
    tensors = list(whole.tensors())
    info = InputInfo(
        sources=chosen,
        tensors=[InputTensor(name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in tensors],
        samples=samples,
        captions=_captions(pieces, open_model.classes),
        is_noise=is_noise,
        labels=list(labels),
        classes=list(open_model.classes),
        thumbnails=_thumbnails(tensors, samples, is_noise) if whole.splittable else None,
        splittable=whole.splittable,
        notes=_distinct(note for piece in pieces for note in piece.notes),
    )
    return Inputs(args, kwargs, samples, whole.splittable, labels), info


def _distinct(notes: Iterable[Clause]) -> list[Clause]:
    kept: list[Clause] = []
    for note in notes:
        if note not in kept:
            kept.append(note)
    return kept


def _captions(pieces: Sequence[Piece], classes: Sequence[str]) -> list[str]:
    """Per sample: "noise", the file's own word, the class's name, the label, or its place in its source."""
    captions = []
    for piece in pieces:
        for caption, label in zip(piece.captions, piece.labels, strict=True):
            if piece.is_noise or piece.captioned or label is None:
                captions.append(caption)
            else:
                captions.append(classes[label] if 0 <= label < len(classes) else str(label))
    return captions


def _thumbnails(tensors: Sequence[tuple[str, torch.Tensor]], samples: int, is_noise: Sequence[bool]) -> Array | None:
    """Pictures of the first tensor that looks like images."""
    for _, tensor in tensors:
        if tensor.dim() == 4 and tensor.shape[0] == samples:
            pictures = thumbnails(tensor, is_noise)
            if pictures is not None:
                return pictures
    return None
