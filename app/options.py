"""The options of the command line that several commands share: what to open, how to feed it, where to run it.

Each is written once. A command that is :func:`shared` has the options of :func:`_setup` in place of its parameter
``setup``, and those of :func:`_engine` in place of ``engine``.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from modelight import sources
from modelight.setup import Setup

Trust = Annotated[bool, typer.Option("--trust", help="Allow a full unpickle, which runs code of the file's author.")]


def _setup(
    model: Annotated[
        str,
        typer.Argument(
            help="package.module:callable or path/file.py:callable, optionally with literal arguments: "
            '"pkg.models:resnet18(num_classes=10)".',
            show_default=False,
        ),
    ],
    checkpoint: Annotated[str | None, typer.Argument(help="State dict: .pt, .pth, .bin or .safetensors.")] = None,
    input: Annotated[list[str] | None, typer.Option("--input", help=sources.HELP)] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples per forward.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every run.")] = 0,
    grad: Annotated[
        Literal["enabled", "no_grad", "inference_mode"],
        typer.Option("--grad", help="Grad mode that runs are made in."),
    ] = "no_grad",
    device: Annotated[str, typer.Option(help="Device for the model: cpu, cuda, mps.")] = "cpu",
    image_size: Annotated[str, typer.Option(help="Height x width that pictures are resized to.")] = "224x224",
    image_mean: Annotated[str, typer.Option(help="Mean taken off pictures scaled to 0–1, per channel.")] = "0",
    image_std: Annotated[str, typer.Option(help="Deviation that pictures are divided by, per channel.")] = "1",
    image_channels: Annotated[int, typer.Option(min=1, max=4, help="Channels that pictures are converted to.")] = 3,
    key: Annotated[str, typer.Option("--key", help="Which state dict of the checkpoint, where it holds several.")] = "",
    align: Annotated[
        bool,
        typer.Option("--align", help="Load tensors of other names too, paired by shapes, likeness of names and order."),
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Of tensors of another shape, load the block that both have.")
    ] = False,
    trust: Trust = False,
) -> Setup:
    images = _images(image_size, image_mean, image_std, image_channels)
    try:
        chosen = sources.parse(input or [], images)
    except sources.SourceError as error:
        raise typer.BadParameter(str(error)) from error
    return Setup(
        spec=model,
        checkpoint=checkpoint,
        directory=str(Path.cwd()),
        device=device,
        sources=chosen,
        grad_mode=grad,
        batch=batch,
        seed=seed,
        key=key,
        align=align,
        partial=partial,
        trust=trust,
    )


def _engine(
    python: Annotated[
        str,
        typer.Option(
            "--python",
            help="Interpreter for the model process: Python 3.11 or later with modelight, torch 2.6 or later, numpy, "
            "msgspec, safetensors and pillow; it needs no Qt.",
        ),
    ] = "",
    host: Annotated[str, typer.Option("--host", help="user@machine: run the model process there, over ssh.")] = "",
    ssh: Annotated[str, typer.Option("--ssh", help="Command that reaches the host, with options of its own.")] = "ssh",
) -> Engine:
    from modelight.client import engine_command

    return Engine(engine_command(python, host, ssh), elsewhere=bool(host))


class Engine:
    """What starts the model process, and whether that is another machine."""

    def __init__(self, command: list[str], elsewhere: bool) -> None:
        self.command = command
        self.elsewhere = elsewhere

    def place(self, setup: Setup) -> Setup:
        """The setup as it is meant there: on another machine paths begin where its shell does."""
        if self.elsewhere:
            setup.directory = ""
        return setup


_SHARED: dict[str, Callable[..., Any]] = {"setup": _setup, "engine": _engine}


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command, all of whose parameters are keywords, the shared options in place of ``setup`` and
    ``engine``."""
    groups: dict[str, list[str]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        made_by = _SHARED.get(parameter.name)
        if made_by is None:
            parameters.append(parameter)
            continue
        options = [
            option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for option in inspect.signature(made_by, eval_str=True).parameters.values()
        ]
        groups[parameter.name] = [option.name for option in options]
        parameters += options

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        for name, options in groups.items():
            given[name] = _SHARED[name](**{option: given.pop(option) for option in options})
        command(**given)

    # Typer reads the signature, or the annotations, or both.
    del with_options.__wrapped__
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _images(size: str, mean: str, std: str, channels: int) -> sources.ImageOptions:
    try:
        means = tuple(float(value) for value in mean.split(","))
        deviations = tuple(float(value) for value in std.split(","))
        if not all(map(math.isfinite, means)) or not all(0 < value < math.inf for value in deviations):
            raise ValueError(std)
    except ValueError as error:
        raise typer.BadParameter(
            "Write means and deviations as numbers with commas, as in 0.5,0.5,0.5; no deviation is 0."
        ) from error
    return sources.ImageOptions(size_of(size), channels, means, deviations)


def size_of(text: str) -> tuple[int, int]:
    """Two whole numbers written as in 1280x800."""
    first, _, second = text.lower().partition("x")
    if not (first.isdecimal() and second.isdecimal() and int(first) and int(second)):
        raise typer.BadParameter(f"“{text}” is no size: write it as in 1280x800.")
    return int(first), int(second)
