"""What a model is fed: sources to choose from, and the input that came of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from modelight.protocol.values import Array, Clause


class Noise(msgspec.Struct, frozen=True, tag=True):
    """Random input. ``shape`` is one sample's shape without the batch dimension; empty: find it out.

    ``low`` and ``high`` bound uniform noise and tokens; a constant is ``low``. Noise is drawn from a generator of
    its own with ``seed``, so the same noise comes back with the same seed.
    """

    distribution: Literal["normal", "uniform", "constant", "tokens"] = "normal"
    shape: tuple[int, ...] = ()
    samples: int = 4
    seed: int = 0
    low: float = 0.0
    high: float = 1.0


class Example(msgspec.Struct, frozen=True, tag=True):
    """What the model's own file offers as ``example_input()``."""

    samples: tuple[int, ...] | None = None
    """Which samples to take; None takes all."""


class FromFile(msgspec.Struct, frozen=True, tag=True):
    """Tensors from a ``.pt`` (read with weights_only), ``.npy``, ``.npz`` or ``.safetensors`` file."""

    path: str
    key: str = ""
    samples: tuple[int, ...] | None = None


class Images(msgspec.Struct, frozen=True, tag=True):
    """Pictures, converted to ``channels``, resized to (height, width), scaled to 0–1 and then ``(x − mean) / std``."""

    paths: tuple[str, ...]
    size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class FromFunction(msgspec.Struct, frozen=True, tag=True):
    """What a function of a Python file or module returns: ``path/file.py:name`` or ``package.module:name``."""

    spec: str
    samples: tuple[int, ...] | None = None


Source = Noise | Example | FromFile | Images | FromFunction


class InputTensor(msgspec.Struct, frozen=True):
    """One tensor of the input. ``name`` is the keyword, or the position in brackets for a positional argument."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class InputInfo(msgspec.Struct, frozen=True):
    """The input that runs will use: ``samples`` samples, joined from the sources in their order."""

    sources: list[Source]
    tensors: list[InputTensor]
    samples: int
    captions: list[str]
    """One short word per sample: its label, its place in the file, or "noise"."""
    is_noise: list[bool]
    labels: list[int | None]
    """The known class index per sample, None where there is none."""
    classes: list[str]
    """Names of the classes, where the file names them (``CLASSES``); otherwise empty."""
    thumbnails: Array | None = None
    """samples × height × width (grey) or × 3, uint8: small pictures of image-like samples."""
    splittable: bool = True
    """False: the input is one whole (a graph, say) and is never cut along its first dimension."""
    notes: list[Clause] = []
    """How it was got: ``shape-guessed`` {shape, why}, ``shape-from-first-layer``, …"""
