"""The command line. Imports neither torch nor, before a window is wanted, Qt: ``modelight --help`` answers at once."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Literal

import typer

from modelight import sources
from modelight.setup import Setup

app = typer.Typer(
    help="See which parts of a PyTorch model are in train or eval mode, and what that does to its outputs.",
    no_args_is_help=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

Model = Annotated[
    str,
    typer.Argument(
        help="package.module:callable or path/file.py:callable, optionally with literal arguments: "
        '"pkg.models:resnet18(num_classes=10)".',
        show_default=False,
    ),
]
Checkpoint = Annotated[str | None, typer.Argument(help="State dict: .pt, .pth, .bin or .safetensors.")]
Input = Annotated[list[str] | None, typer.Option("--input", help=sources.HELP)]
Batch = Annotated[int, typer.Option(min=1, help="Samples per forward.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every run.")]
Device = Annotated[str, typer.Option(help="Device for the model: cpu, cuda, mps.")]
Grad = Annotated[
    Literal["enabled", "no_grad", "inference_mode"], typer.Option("--grad", help="Grad mode that runs are made in.")
]
ImageSize = Annotated[str, typer.Option(help="Height x width that pictures are resized to.")]
ImageMean = Annotated[str, typer.Option(help="Mean taken off pictures scaled to 0–1, per channel.")]
ImageStd = Annotated[str, typer.Option(help="Deviation that pictures are divided by, per channel.")]
Channels = Annotated[int, typer.Option(min=1, max=4, help="Channels that pictures are converted to.")]
Theme = Annotated[Literal["light", "dark"], typer.Option(help="Look of the window.")]
Python = Annotated[str, typer.Option("--python", help="Interpreter for the model process; it needs no Qt.")]
Host = Annotated[str, typer.Option("--host", help="user@machine: run the model process there, over ssh.")]
Ssh = Annotated[str, typer.Option("--ssh", help="Command that reaches the host, with options of its own.")]
Key = Annotated[str, typer.Option("--key", help="Which state dict of the checkpoint, where it holds several.")]
Trust = Annotated[bool, typer.Option("--trust", help="Allow a full unpickle, which runs code of the file's author.")]
Align = Annotated[
    bool,
    typer.Option("--align", help="Load tensors of other names too, paired by shapes, likeness of names and order."),
]
Partial = Annotated[bool, typer.Option("--partial", help="Of tensors of another shape, load the block that both have.")]
PageName = Annotated[
    Literal["output", "dropout", "statistics", "layers", "compare", "gradients", "experiments", "console"],
    typer.Option("--page", help="Page to show."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelight {installed_version('modelight')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def window(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Without a command: open the window on its welcome page."""
    if context.invoked_subcommand is None:
        from modelight.desktop import run_window

        raise typer.Exit(run_window(None))


@app.command("open")
def open_(
    model: Model,
    checkpoint: Checkpoint = None,
    input: Input = None,
    batch: Batch = 1,
    seed: Seed = 0,
    grad: Grad = "no_grad",
    device: Device = "cpu",
    image_size: ImageSize = "224x224",
    image_mean: ImageMean = "0",
    image_std: ImageStd = "1",
    image_channels: Channels = 3,
    key: Key = "",
    align: Align = False,
    partial: Partial = False,
    python: Python = "",
    host: Host = "",
    ssh: Ssh = "ssh",
) -> None:
    """Open a model, and a checkpoint, in the window."""
    from modelight.client import engine_command
    from modelight.desktop import run_window

    images = _images(image_size, image_mean, image_std, image_channels)
    setup = _setup(model, checkpoint, input, batch, seed, grad, device, images)
    setup.key, setup.align, setup.partial = key, align, partial
    if host:
        setup.directory = ""  # of the other machine, where its shell begins
    raise typer.Exit(run_window(setup, engine_command(python, host, ssh)))


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", help="Where the picture goes when there is no display.")] = Path(
        "modelight.png"
    ),
) -> None:
    """Open the embedded sample on the incident: no_grad() without eval(), each sample run alone."""
    from modelight.desktop import has_display, run_window
    from modelight.shot import DEMO_HINT, demo_report, demo_setup

    raise typer.Exit(run_window(demo_setup(), hint=DEMO_HINT) if has_display() else demo_report(output))


@app.command()
def check(
    model: Model,
    checkpoint: Checkpoint = None,
    input: Input = None,
    batch: Batch = 1,
    seed: Seed = 0,
    grad: Grad = "no_grad",
    device: Device = "cpu",
    allow: Annotated[list[str] | None, typer.Option(help="Id of a finding that is wanted; may be given again.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    image_size: ImageSize = "224x224",
    image_mean: ImageMean = "0",
    image_std: ImageStd = "1",
    image_channels: Channels = 3,
    key: Key = "",
    align: Align = False,
    partial: Partial = False,
    trust: Trust = False,
) -> None:
    """Look for what is remarkable, without a window. Exit status 0: clean, 1: findings, 2: could not look."""
    from modelight.headless import check_command

    images = _images(image_size, image_mean, image_std, image_channels)
    setup = _setup(model, checkpoint, input, batch, seed, grad, device, images)
    setup.key, setup.trust = key, trust
    setup.align, setup.partial = align, partial
    raise typer.Exit(check_command(setup, allow or [], json))


@app.command()
def inspect(
    checkpoint: Annotated[str, typer.Argument(help="File or folder to look into.", show_default=False)],
    other: Annotated[str | None, typer.Argument(help="A second one: what differs, and how far.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    key: Annotated[str | None, typer.Option("--key", help="Which state dict, where the file holds several.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every value, not only those of running statistics.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Look into a checkpoint without the model's code. Exit status 0: readable, 1: marks need attention, 2: not
    readable."""
    from modelight.inspect_command import inspect_command

    raise typer.Exit(inspect_command(checkpoint, other, json, key, deep, trust=trust))


@app.command()
def shot(
    model: Model,
    checkpoint: Checkpoint = None,
    page: PageName = "output",
    output: Annotated[Path, typer.Option("-o", help="PNG to write.")] = Path("modelight.png"),
    size: Annotated[str, typer.Option(help="Width x height of the window in logical pixels.")] = "1440x900",
    theme: Theme = "light",
    select: Annotated[str, typer.Option(help="Path of the module to select.")] = "",
    mode: Annotated[
        Literal["train", "eval", "freeze_norms", "mc_dropout"] | None, typer.Option(help="Preset to apply first.")
    ] = None,
    input: Input = None,
    batch: Batch = 1,
    seed: Seed = 0,
    grad: Grad = "no_grad",
    device: Device = "cpu",
    image_size: ImageSize = "224x224",
    image_mean: ImageMean = "0",
    image_std: ImageStd = "1",
    image_channels: Channels = 3,
    key: Key = "",
    align: Align = False,
    partial: Partial = False,
    python: Python = "",
    host: Host = "",
    ssh: Ssh = "ssh",
) -> None:
    """Render the window to a PNG, without a display."""
    from modelight.client import engine_command
    from modelight.shot import Shot, take

    images = _images(image_size, image_mean, image_std, image_channels)
    setup = _setup(model, checkpoint, input, batch, seed, grad, device, images)
    setup.selection, setup.key = select, key
    setup.align, setup.partial = align, partial
    if host:
        setup.directory = ""
    command = engine_command(python, host, ssh)
    raise typer.Exit(take(Shot(setup, page, output, _size(size), theme, mode, command)))


def _setup(
    model: str,
    checkpoint: str | None,
    input: list[str] | None,
    batch: int,
    seed: int,
    grad: Literal["enabled", "no_grad", "inference_mode"],
    device: str,
    images: sources.ImageOptions,
) -> Setup:
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
    )


def _images(size: str, mean: str, std: str, channels: int) -> sources.ImageOptions:
    try:
        means = tuple(float(value) for value in mean.split(","))
        deviations = tuple(float(value) for value in std.split(","))
    except ValueError as error:
        raise typer.BadParameter("Write means and deviations as numbers with commas, as in 0.5,0.5,0.5.") from error
    return sources.ImageOptions(_size(size), channels, means, deviations)


def _size(text: str) -> tuple[int, int]:
    first, _, second = text.lower().partition("x")
    if not (first.isdigit() and second.isdigit() and int(first) and int(second)):
        raise typer.BadParameter(f"“{text}” is no size: write it as in 1280x800.")
    return int(first), int(second)


def main() -> None:
    """Entry point of the ``modelight`` command."""
    app()
