"""Files dropped on the window: what each is for, by its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modelight.protocol import FromFile, Images, Source
from modelight.sources import PICTURES, ImageOptions

CHECKPOINT_KINDS = (
    *(".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar", ".model", ".pkl", ".pt2"),
    ".index.json",  # of several files of weights
)
ARRAYS = {".npy", ".npz"}


@dataclass
class Dropped:
    """At most one model and one checkpoint; the rest is input."""

    model: Path | None = None
    checkpoint: Path | None = None
    sources: list[Source] = field(default_factory=list)


def sort_files(paths: list[Path]) -> Dropped:
    """A Python file or a folder of transformers is a model, weights and other folders are a checkpoint, arrays and
    pictures are input. Other files are left out."""
    dropped = Dropped()
    pictures: list[str] = []
    for path in paths:
        kind = path.suffix.lower()
        if kind == ".py" or (path / "config.json").is_file():
            dropped.model = dropped.model or path
        elif path.name.lower().endswith(CHECKPOINT_KINDS) or path.is_dir():
            dropped.checkpoint = dropped.checkpoint or path
        elif kind in ARRAYS:
            dropped.sources.append(FromFile(str(path)))
        elif kind in PICTURES:
            pictures.append(str(path))
    if pictures:
        dropped.sources.append(Images(tuple(pictures), ImageOptions().size))
    return dropped
