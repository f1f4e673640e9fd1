"""Pictures as input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from modelight.engine.loading.paths import located
from modelight.engine.loading.pieces import Piece, refuse
from modelight.protocol import Images

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_LARGEST = 16384


def read(source: Images, directory: str) -> Piece:
    """Pictures as samples × channels × height × width: resized, scaled to 0–1, then ``(x − mean) / std`` per channel.

    Raises:
        EngineError: kind ``input``.
    """
    if not source.paths:
        raise refuse("No picture is chosen.")
    if source.channels not in _MODES:
        raise refuse(f"Pictures have 1, 3 or 4 channels, not {source.channels}.")
    if not all(0 < side <= _LARGEST for side in source.size):
        raise refuse(f"Pictures cannot be resized to {source.size[0]} × {source.size[1]}.")
    paths = [located(path, directory) for path in source.paths]
    pixels = torch.stack([_pixels(path, source) for path in paths])
    samples = (pixels - _per_channel(source.mean, source, "mean")) / _per_channel(source.std, source, "std")
    captions = tuple(path.stem for path in paths)
    return Piece((samples,), {}, len(paths), True, (None,) * len(paths), captions)


def _pixels(path: Path, source: Images) -> torch.Tensor:
    height, width = source.size
    try:
        with Image.open(path) as picture:
            resized = picture.convert(_MODES[source.channels]).resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise refuse(f"There is no file {path}.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise refuse(f"{path.name} cannot be read as a picture: {error}") from error
    values = torch.from_numpy(np.asarray(resized, dtype=np.float32) / 255)
    return values[None] if source.channels == 1 else values.permute(2, 0, 1).contiguous()


def _per_channel(values: tuple[float, ...], source: Images, name: str) -> torch.Tensor:
    if len(values) not in (1, source.channels) or (name == "std" and 0 in values):
        raise refuse(f"Normalising needs one {name}, or one for each of {source.channels} channels, and no std of 0.")
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)
