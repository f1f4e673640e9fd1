"""Inputs as they are written on the command line, and as the window names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelight.protocol import Example, FromFile, FromFunction, Images, Noise, Source

TENSORS = {".pt", ".pth", ".npy", ".npz", ".safetensors"}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
DISTRIBUTIONS = ("normal", "uniform", "constant", "tokens")
MOST_SAMPLES = 100_000
"""That can be chosen by one ``@first-last``: a slip of the finger must not fill the memory with numbers."""

HELP = (
    "What to feed the model; may be given several times, the samples are joined. "
    "example[@0,2-5] · noise[:8[:3x32x32]] (also uniform, constant, tokens) · data.npz[:key][@0-7] · picture.png · "
    "inputs.py:function"
)


class SourceError(ValueError):
    """An input that cannot be understood; the message says what would be."""


@dataclass(frozen=True)
class ImageOptions:
    """How pictures become tensors: (height, width), channels, and ``(x − mean) / std`` after scaling to 0–1."""

    size: tuple[int, int] = (224, 224)
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def parse(texts: list[str], images: ImageOptions | None = None) -> list[Source]:
    """Sources for the texts given as ``--input``. Pictures beside each other become one source.

    Raises:
        SourceError: a text is none of the known forms.
    """
    sources: list[Source] = []
    options = images or ImageOptions()
    for text in texts:
        source = _one(text, options)
        last = sources[-1] if sources else None
        if isinstance(source, Images) and isinstance(last, Images):
            source, _ = Images((*last.paths, *source.paths), *_picture(options)), sources.pop()
        sources.append(source)
    return sources


def _picture(options: ImageOptions) -> tuple[tuple[int, int], int, tuple[float, ...], tuple[float, ...]]:
    return options.size, options.channels, options.mean, options.std


def _one(text: str, options: ImageOptions) -> Source:
    body, samples = _chosen(text)
    if body == "example":
        return Example(samples)
    kind = body.split(":")[0]
    is_noise = kind == "noise" or kind in DISTRIBUTIONS
    if is_noise or Path(body).suffix.lower() in PICTURES:
        if samples is not None:
            raise SourceError(f"Nothing can be chosen from “{body}”: leave out what begins with @.")
        return _noise(body) if is_noise else Images((body,), *_picture(options))
    path, key = _file(body)
    if path is not None:
        return FromFile(path, key, samples)
    if ":" in body:
        return FromFunction(body, samples)
    raise SourceError(f"“{text}” is no input that Modelight knows. Known are: {HELP.split('. ', 1)[1]}.")


def _chosen(text: str) -> tuple[str, tuple[int, ...] | None]:
    """The text without its ``@0,2-5``, and these numbers. An @ may also be part of a name: ``cat@2x.png``."""
    body, at, chosen = text.rpartition("@")
    if not at or _is_name(chosen):
        return text, None
    return body, _numbers(chosen)


def _is_name(text: str) -> bool:
    return Path(text).suffix.lower() in TENSORS | PICTURES or any(mark in text for mark in ":/\\")


def _file(body: str) -> tuple[str | None, str]:
    if Path(body).suffix.lower() in TENSORS:
        return body, ""
    path, _, key = body.rpartition(":")
    return (path, key) if Path(path).suffix.lower() in TENSORS else (None, "")


def _noise(body: str) -> Noise:
    kind, *rest = body.split(":")
    try:
        samples = int(rest[0]) if rest and rest[0] else 4
        shape = tuple(int(size) for size in rest[1].split("x")) if len(rest) > 1 else ()
        if len(rest) > 2 or samples < 1 or min(shape, default=1) < 1:
            raise ValueError(body)
    except ValueError as error:
        raise SourceError(f"“{body}” is no noise: write noise:SAMPLES:SHAPE, as in noise:8:3x32x32.") from error
    return Noise("normal" if kind == "noise" else kind, shape, samples)  # type: ignore[arg-type]


def _numbers(text: str) -> tuple[int, ...]:
    """``0,2-5`` → (0, 2, 3, 4, 5)."""
    try:
        numbers: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            between = range(int(first), int(last or first) + 1)
            if not 0 < len(between) <= MOST_SAMPLES:
                raise ValueError(part)
            numbers += between
    except ValueError as error:
        raise SourceError(f"“@{text}” chooses no samples: write numbers from 0, as in @0,2-5.") from error
    return tuple(numbers)


def summary(sources: list[Source]) -> str:
    """The sources in few words: ``example: 8 + noise: 4``."""
    return " + ".join(_name(source) for source in sources)


def _name(source: Source) -> str:
    match source:
        case Example(samples):
            return f"example: {len(samples)}" if samples is not None else "example"
        case Noise():
            return f"noise: {source.samples}"
        case FromFile(path):
            return Path(path).name + (f": {len(source.samples)}" if source.samples is not None else "")
        case Images(paths):
            return f"images: {len(paths)}"
        case FromFunction(spec):
            return spec.rpartition("/")[2]
