"""One source's share of the input: arguments of forward with their samples, cut and joined along the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from modelight.engine.errors import EngineError
from modelight.protocol import Clause


@dataclass(frozen=True)
class Piece:
    """The samples of one source. Labels, captions and noise marks have one entry per sample."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    samples: int
    splittable: bool = True
    labels: tuple[int | None, ...] = ()
    captions: tuple[str, ...] = ()
    captioned: bool = False
    """The captions are the file's own words: they say more than the label."""
    is_noise: bool = False
    classes: tuple[str, ...] = ()
    notes: tuple[Clause, ...] = field(default=())

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every tensor with its name: the keyword, or the position in brackets."""
        for position, value in enumerate(self.args):
            yield from _walk(f"[{position}]", value)
        for name, value in self.kwargs.items():
            yield from _walk(name, value)

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Piece:
        """The same with every tensor replaced."""
        args = tuple(_map(value, function) for value in self.args)
        return replace(self, args=args, kwargs={name: _map(value, function) for name, value in self.kwargs.items()})


def refuse(message: str) -> EngineError:
    """An error of kind ``input``."""
    return EngineError(message, kind="input")


def piece_of(value: Any, labels: Sequence[int | None] = (), what: str = "The input") -> Piece:
    """What a person's function or file gave, as arguments of forward.

    A tensor or array is the one argument, a tuple the positional ones, a mapping the keyword ones; anything else (a
    list of images, a graph) is one argument that is never cut.

    Raises:
        EngineError: kind ``input``, if there is nothing in it.
    """
    args, kwargs = _arguments(value)
    tensors = [tensor for part in (*args, *kwargs.values()) for _, tensor in _walk("", part) if tensor.dim() > 0]
    if not args and not kwargs:
        raise refuse(f"{what} is empty: return a tensor, a tuple of arguments or a dict of keyword arguments.")
    if not tensors or _is_graph(tensors) or any(_is_whole(part) for part in (*args, *kwargs.values())):
        return Piece(args, kwargs, 1, splittable=False, labels=(None,), captions=("#0",))
    samples = tensors[0].shape[0]
    if samples == 0:
        raise refuse(f"{what} holds no samples: its shape is {tuple(tensors[0].shape)}.")
    if labels and len(labels) != samples:
        raise refuse(f"{what} holds {samples} samples, but there are {len(labels)} labels.")
    captions = tuple(f"#{position}" for position in range(samples))
    return Piece(args, kwargs, samples, True, tuple(labels) or (None,) * samples, captions)


def _is_graph(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether nodes come with an edge list, two rows of node numbers as PyTorch Geometric writes them: a part of the
    nodes with all the edges would be another graph, or none."""
    nodes = tensors[0].shape[0]
    return any(
        tensor.dtype in (torch.int32, torch.int64)
        and tensor.dim() == 2
        and tensor.shape[0] == 2 != nodes
        and tensor.numel() > 0
        and 0 <= int(tensor.min()) <= int(tensor.max()) < nodes
        for tensor in tensors[1:]
    )


def select(piece: Piece, chosen: Sequence[int] | None, what: str) -> Piece:
    """The chosen samples of a piece, in the order given.

    Raises:
        EngineError: kind ``input``, if there is no such sample.
    """
    if chosen is None:
        return piece
    wrong = [index for index in chosen if not 0 <= index < piece.samples]
    if wrong or not chosen:
        asked = f"sample {wrong[0]} does not exist" if wrong else "no sample was chosen"
        raise refuse(f"{what} holds {piece.samples} samples, 0 to {piece.samples - 1}: {asked}.")
    if not piece.splittable:
        return piece
    index = torch.tensor(list(chosen))

    def take(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or tensor.shape[0] != piece.samples:
            return tensor
        return tensor[index.to(tensor.device)]

    return replace(
        piece.map(take),
        samples=len(chosen),
        labels=tuple(piece.labels[i] for i in chosen),
        captions=tuple(piece.captions[i] for i in chosen),
    )


def join(pieces: Sequence[Piece]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of all pieces, joined along the samples.

    Raises:
        EngineError: kind ``input``, naming both shapes, if they do not fit together.
    """
    first = pieces[0]
    if len(pieces) == 1:
        return first.args, first.kwargs
    if not all(piece.splittable for piece in pieces):
        raise refuse("An input that is one whole (a list of tensors, a graph) cannot be joined with other inputs.")
    for piece in pieces[1:]:
        if len(piece.args) != len(first.args) or set(piece.kwargs) != set(first.kwargs):
            raise refuse(f"The inputs do not fit together: one gives {_signature(first)}, another {_signature(piece)}.")
    args = tuple(_join(f"[{i}]", [piece.args[i] for piece in pieces], pieces) for i in range(len(first.args)))
    kwargs = {name: _join(name, [piece.kwargs[name] for piece in pieces], pieces) for name in first.kwargs}
    return args, kwargs


def _join(name: str, values: Sequence[Any], pieces: Sequence[Piece]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        return _join_tensors(name, values, pieces)
    if isinstance(first, Mapping):
        return {key: _join(f"{name}.{key}", [value[key] for value in values], pieces) for key in first}
    if isinstance(first, (tuple, list)) and all(len(value) == len(first) for value in values):
        parts = [_join(f"{name}[{i}]", [value[i] for value in values], pieces) for i in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first


def _join_tensors(name: str, values: Sequence[torch.Tensor], pieces: Sequence[Piece]) -> torch.Tensor:
    per_sample = [
        value.dim() > 0 and value.shape[0] == piece.samples for value, piece in zip(values, pieces, strict=True)
    ]
    if not any(per_sample):
        return values[0]
    for value in values[1:]:
        if value.shape[1:] != values[0].shape[1:]:
            a, b = tuple(values[0].shape[1:]), tuple(value.shape[1:])
            raise refuse(f"The inputs do not fit together: a sample of {name} is {a} in one and {b} in another.")
        if value.dtype != values[0].dtype:
            a_type, b_type = _name(values[0].dtype), _name(value.dtype)
            raise refuse(f"The inputs do not fit together: {name} is {a_type} in one and {b_type} in another.")
    return torch.cat(list(values))


def _arguments(value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(value, Mapping):
        return (), {str(key): _tensor(item) for key, item in value.items()}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_tensor(item) for item in value), {}
    return (_tensor(value),), {}


def _tensor(value: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _is_whole(value: Any) -> bool:
    """A list of tensors: its length, not a dimension, is the number of samples, so it cannot be cut."""
    return isinstance(value, list) and any(isinstance(item, (torch.Tensor, Mapping)) for item in value)


def _walk(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{name}.{key}", item)
    elif isinstance(value, (tuple, list)):
        for position, item in enumerate(value):
            yield from _walk(f"{name}[{position}]", item)


def _map(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map(item, function) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_map(item, function) for item in value)
    return value


def _signature(piece: Piece) -> str:
    names = [f"{len(piece.args)} positional"] if piece.args else []
    return " and ".join(names + ([", ".join(piece.kwargs)] if piece.kwargs else [])) or "nothing"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
