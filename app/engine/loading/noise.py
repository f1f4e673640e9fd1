"""Random input: like the other samples where there are any, else of a shape that is guessed, tried and told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import nn

from modelight.engine.errors import EngineError, ReportProgress, ShouldStop
from modelight.engine.loading import shapes, signatures, trial
from modelight.engine.loading.pieces import Piece, refuse
from modelight.engine.loading.shapes import Guess
from modelight.protocol import Clause, Noise

_BATCH = 2
"""Samples of a trial: batch norm in train mode takes no fewer."""
_LAYERS = 3
_LARGEST = 2**30
_DEFAULT_VOCABULARY = 100


def draw(
    source: Noise,
    model: nn.Module,
    like: Piece | None,
    device: torch.device,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> Piece:
    """Noise for the model: like the samples of ``like``, of the shape asked for, or of a guessed one.

    Raises:
        EngineError: kind ``input``, if no shape is known and none that was tried works; ``cancelled``.
    """
    if source.samples < 1:
        raise refuse("Noise needs at least one sample.")
    if source.samples * math.prod(source.shape) > _LARGEST or any(size < 1 for size in source.shape):
        raise refuse(
            f"Noise of shape {source.samples} × {list(source.shape)} cannot be made: give positive, smaller sizes."
        )
    generator = torch.Generator().manual_seed(source.seed)
    if like is not None and like.splittable:
        return _like(source, model, like, generator)
    if source.shape:
        tensor, notes = _fill(source, source.shape, _vocabulary(model), generator)
        return _piece(source, model, tensor, notes)
    guess = _guess(model, device, progress, should_stop)
    tensor, notes = _fill(source, guess.shape, guess.vocabulary, generator)
    guessed = Clause("shape-guessed", {"shape": guess.text, "why": guess.why})
    return _piece(source, model, tensor, [guessed, *notes])


def _piece(source: Noise, model: nn.Module, tensor: torch.Tensor, notes: list[Clause]) -> Piece:
    args, kwargs = _arguments(model, tensor)
    none, noise = (None,) * source.samples, ("noise",) * source.samples
    layer = _takes_time_first(model) if tensor.dim() > 1 else None
    if layer is not None:
        notes = [*notes, Clause("noise-time-first", {"module": layer})]
    return Piece(args, kwargs, source.samples, True, none, noise, is_noise=True, notes=tuple(notes))


def _takes_time_first(model: nn.Module) -> str | None:
    """The path of the first recurrent or attention layer, if it was made with ``batch_first=False`` and no convolution
    stands before it."""
    kinds = (nn.RNNBase, nn.MultiheadAttention, nn.modules.conv._ConvNd)
    found = next(((path, one) for path, one in model.named_modules() if isinstance(one, kinds)), None)
    return found[0] if found is not None and getattr(found[1], "batch_first", True) is False else None


def _arguments(model: nn.Module, tensor: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional, unless the model names its main input (``main_input_name`` of transformers)."""
    name = getattr(model, "main_input_name", None)
    if isinstance(name, str) and name in [parameter.name for parameter in signatures.parameters(model)]:
        return (), {name: tensor}
    return (tensor,), {}


def _like(source: Noise, model: nn.Module, like: Piece, generator: torch.Generator) -> Piece:
    """Noise in the form of given samples: floats are drawn, and tokens; masks, types and whole tensors are kept."""
    names = [name for name, tensor in like.tensors() if _is_per_sample(tensor, like)]
    main = _main(like, names, model)
    notes: list[Clause] = []
    kept: list[str] = []
    order = iter(name for name, _ in like.tensors())

    def replace_one(tensor: torch.Tensor) -> torch.Tensor:
        name = next(order)
        if name not in names:
            return tensor
        shape = source.shape if name == main and source.shape else tuple(tensor.shape[1:])
        if tensor.is_floating_point() and source.distribution != "tokens":
            drawn, _ = _fill(source, shape, None, generator)
            return drawn.to(tensor.dtype)
        if name == main:
            drawn, told = _fill(source, shape, _vocabulary(model) or _range(tensor), generator)
            notes.extend(told)
            return drawn.to(tensor.dtype)
        kept.append(name)
        return tensor[torch.arange(source.samples) % tensor.shape[0]]

    drawn = like.map(replace_one)
    if kept:
        notes.append(Clause("noise-kept", {"names": list(kept)}))
    args, kwargs = drawn.args, drawn.kwargs
    none, noise = (None,) * source.samples, ("noise",) * source.samples
    return Piece(args, kwargs, source.samples, True, none, noise, is_noise=True, notes=tuple(notes))


def _is_per_sample(tensor: torch.Tensor, piece: Piece) -> bool:
    return tensor.dim() > 0 and tensor.shape[0] == piece.samples


def _main(like: Piece, names: list[str], model: nn.Module) -> str:
    """The tensor that carries the content: the one the model names, the first of floats, else tokens or the first."""
    tensors = [(name, tensor) for name, tensor in like.tensors() if name in names]
    named = [name for name in names if name == getattr(model, "main_input_name", None)]
    floats = [name for name, tensor in tensors if tensor.is_floating_point() and "mask" not in name]
    tokens = [name for name in names if name == "input_ids"]
    return (named or floats or tokens or names)[0]


def _range(tensor: torch.Tensor) -> int:
    return int(tensor.max()) + 1


def _vocabulary(model: nn.Module) -> int | None:
    """How many tokens there are, if the model begins with an embedding."""
    layer = shapes.first_layer(model)
    return layer.num_embeddings if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) else None


def _fill(
    source: Noise, shape: tuple[int, ...], vocabulary: int | None, generator: torch.Generator
) -> tuple[torch.Tensor, list[Clause]]:
    """Draw ``samples`` samples; a model of tokens gets tokens, whatever was asked, with a note."""
    size = (source.samples, *shape)
    if vocabulary is not None or source.distribution == "tokens":
        asked = source.distribution == "tokens" and source.high > 1
        low, high = (int(source.low), int(source.high)) if asked else (0, vocabulary or _DEFAULT_VOCABULARY)
        if vocabulary is not None:
            high = min(high, vocabulary)
        if high <= low:
            raise refuse(f"Tokens from {low} up to {high} cannot be drawn: the upper bound must be larger.")
        tokens = torch.randint(low, high, size, generator=generator)
        return tokens, [Clause("noise-tokens", {"low": low, "high": high - 1})]
    if source.distribution == "constant":
        return torch.full(size, source.low), []
    if source.distribution == "uniform":
        return torch.rand(size, generator=generator) * (source.high - source.low) + source.low, []
    return torch.randn(size, generator=generator), []


def _guess(model: nn.Module, device: torch.device, progress: ReportProgress, should_stop: ShouldStop) -> Guess:
    """The first shape that the model, as it stands, takes.

    Each trial also tells which layer is called first, which need not be the first registered: then that one is asked.
    """
    tried_on = trial.stand_in(model)
    layer = shapes.first_layer(model)
    asked: list[nn.Module] = []
    last: BaseException | None = None
    for _ in range(_LAYERS):
        if layer is None or any(layer is earlier for earlier in asked):
            break
        asked.append(layer)
        found, called, last = _try(shapes.guesses(layer, model), tried_on, device, progress, should_stop, layer)
        if found is not None:
            return found
        layer = called
    found, _, failure = _try(shapes.generic(), tried_on, device, progress, should_stop, None)
    if found is not None:
        return found
    raise _no_guess(model, last or failure)


def _try(
    guesses: Iterator[Guess],
    model: nn.Module,
    device: torch.device,
    progress: ReportProgress,
    should_stop: ShouldStop,
    layer: nn.Module | None,
) -> tuple[Guess | None, nn.Module | None, BaseException | None]:
    """(the guess that works, the leaf that was called first if it is another one that says more, the last failure)"""
    failure: BaseException | None = None
    dtype = signatures.floating_dtype(model) or torch.float32
    for guess in islice(guesses, 24):
        progress(Clause("trying-shape", {"shape": guess.text}), None)
        generator = torch.Generator().manual_seed(0)
        tensor, _ = _fill(Noise(samples=_BATCH), guess.shape, guess.vocabulary, generator)
        tensor = tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        outcome = trial.attempt(model, *_arguments(model, tensor), should_stop)
        if outcome.error is None:
            return guess, None, None
        failure = outcome.error
        first = outcome.first
        if layer is not None and first is not None and type(first) is not type(layer) and _says_more(first, model):
            return None, first, failure
    return None, None, failure


def _says_more(layer: nn.Module, model: nn.Module) -> bool:
    return next(shapes.guesses(layer, model), None) is not None


def _no_guess(model: nn.Module, failure: BaseException | None) -> EngineError:
    required = [parameter.name for parameter in signatures.parameters(model) if parameter.required]
    name = getattr(model, "original_name", type(model).__name__)
    if len(required) > 1:
        message = (
            f"{name}.forward needs {', '.join(required)}: write a function example_input() that returns a dict of "
            "these, or load them from a file."
        )
    else:
        words = str(failure).strip().splitlines()[:1] if failure is not None else []
        last = f" (the last one failed with “{words[0]}”)" if words else ""
        message = f"No shape that was tried fits {name}{last}: give the shape of one sample, or write example_input()."
    error = refuse(message)
    error.__cause__ = failure
    return error
