"""Which shape a sample may have: what the first layer called says about it, and the sizes worth trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

_PLANES = (64, 224, 32, 28, 96, 128, 256, 299, 384, 512, 16, 8)
_LENGTHS = (64, 128, 256, 16, 100, 1000, 1024, 4096, 16000)
_WAVES = (16000, 1024, 4096, 8000, 1000, 256, 64)
_VOLUMES = (16, 32, 64, 8)
_STEPS = (16, 8, 32, 64, 128, 1)
_SIZE_NAMES = ("image_size", "img_size", "input_size", "resolution")


@dataclass(frozen=True)
class Guess:
    """A sample's shape to try. ``vocabulary`` is set where the samples are tokens 0 … vocabulary − 1."""

    shape: tuple[int, ...]
    why: str
    """The layer it is derived from, e.g. ``Conv2d(in_channels=3)``."""
    vocabulary: int | None = None

    @property
    def text(self) -> str:
        """As a person writes it: ``3 × 64 × 64``."""
        return " × ".join(str(size) for size in self.shape) or "()"


def first_layer(model: nn.Module) -> nn.Module | None:
    """The first registered layer that says something about its input: a start, until a trial shows which is called."""
    return next((module for module in model.modules() if _describe(module) is not None), None)


def guesses(layer: nn.Module | None, model: nn.Module) -> Iterator[Guess]:
    """Shapes to try for a model whose first called layer is this one, likeliest first; nothing for an unknown layer."""
    described = _describe(layer) if layer is not None else None
    if described is None:
        return
    kind, size, why = described
    if kind == "tokens":
        for steps in _STEPS:
            yield Guess((steps,), why, size)
        yield Guess((), why, size)
        return
    for shape in _shapes(kind, size, model):
        yield Guess(shape, why)


def generic() -> Iterator[Guess]:
    """For a model whose first layer says nothing."""
    for shape in ((3, 64, 64), (1, 28, 28), (3, 224, 224), (16,), (10,), (16, 64), (2,), (1,)):
        yield Guess(shape, "nothing: a common shape")


def _describe(layer: nn.Module) -> tuple[str, int, str] | None:
    """(kind, size, words) of the input that a layer takes; None for a layer that takes anything."""
    for types, kind, attribute in _KINDS:
        if isinstance(layer, types):
            size = getattr(layer, attribute)
            size = size[-1] if isinstance(size, tuple) else size
            # A lazy layer (0 channels) takes what comes; three channels are the commonest.
            lazy_size = {"plane": 3, "wave": 1, "volume": 1}.get(kind, 16)
            return kind, size or lazy_size, f"{type(layer).__name__}({attribute}={size or 'any'})"
    return None


_KINDS: tuple[tuple[tuple[type[nn.Module], ...], str, str], ...] = (
    ((nn.Embedding, nn.EmbeddingBag), "tokens", "num_embeddings"),
    ((nn.Conv3d, nn.ConvTranspose3d), "volume", "in_channels"),
    ((nn.Conv2d, nn.ConvTranspose2d), "plane", "in_channels"),
    ((nn.Conv1d, nn.ConvTranspose1d), "wave", "in_channels"),
    ((nn.BatchNorm3d, nn.InstanceNorm3d), "volume", "num_features"),
    ((nn.BatchNorm2d, nn.InstanceNorm2d), "plane", "num_features"),
    ((nn.BatchNorm1d,), "features", "num_features"),
    ((nn.InstanceNorm1d,), "wave", "num_features"),
    ((nn.RNNBase,), "sequence", "input_size"),
    ((nn.RNNCellBase,), "features", "input_size"),
    ((nn.MultiheadAttention,), "sequence", "embed_dim"),
    ((nn.LayerNorm,), "sequence", "normalized_shape"),
    ((nn.GroupNorm,), "plane", "num_channels"),
    ((nn.Linear,), "features", "in_features"),
    ((nn.Bilinear,), "features", "in1_features"),
)


def _shapes(kind: str, size: int, model: nn.Module) -> Iterator[tuple[int, ...]]:
    if kind == "plane":
        sides = list(dict.fromkeys([*_declared_sizes(model), *((side, side) for side in _PLANES)]))
        yield from ((size, height, width) for height, width in sides)
    elif kind == "wave":
        yield from ((size, length) for length in (_WAVES if size == 1 else _LENGTHS))
        # Raw audio often comes without a dimension for its one channel, which the model then adds.
        yield from ((length,) for length in (_WAVES if size == 1 else ()))
    elif kind == "volume":
        yield from ((size, side, side, side) for side in _VOLUMES)
    elif kind == "sequence":
        yield from ((steps, size) for steps in _STEPS)
        yield (size,)
    else:
        yield from _flat(size)


def _flat(size: int) -> Iterator[tuple[int, ...]]:
    """Vectors of ``size``, sequences of them, and the square pictures that flatten to them."""
    yield (size,)
    yield from ((steps, size) for steps in _STEPS[:2])
    for channels in (1, 3):
        side = round((size / channels) ** 0.5)
        if side > 1 and channels * side * side == size:
            yield (channels, side, side)


def _declared_sizes(model: nn.Module) -> list[tuple[int, int]]:
    """Image sizes that the model or its configuration names (``config.image_size``, timm's ``img_size`` …)."""
    holders: list[Any] = [getattr(model, "config", None), *model.modules()]
    found = [getattr(holder, name, None) for holder in holders[:64] for name in _SIZE_NAMES]
    sizes = []
    for size in found:
        pair = (size, size) if isinstance(size, int) else size
        if isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(n, int) and n > 0 for n in pair):
            sizes.append((pair[0], pair[1]))
    return list(dict.fromkeys(sizes))
