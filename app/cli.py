"""The command line. Imports neither torch nor, before a window is wanted, Qt: ``modelight --help`` answers at once."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Literal

import typer

from modelight.options import Engine, Trust, shared, size_of
from modelight.setup import Setup

app = typer.Typer(
    help="See which parts of a PyTorch model are in train or eval mode, and what that does to its outputs.",
    no_args_is_help=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

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
@shared
def open_(*, setup: Setup, engine: Engine) -> None:
    """Open a model, and a checkpoint, in the window."""
    from modelight.desktop import run_window

    raise typer.Exit(run_window(engine.place(setup), engine.command))


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
@shared
def check(
    *,
    allow: Annotated[list[str] | None, typer.Option(help="Id of a finding that is wanted; may be given again.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    setup: Setup,
) -> None:
    """Look for what is remarkable, without a window. Exit status 0: clean, 1: findings, 2: could not look."""
    from modelight.headless import check_command

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
@shared
def shot(
    *,
    page: PageName = "output",
    output: Annotated[Path, typer.Option("-o", help="PNG to write.")] = Path("modelight.png"),
    size: Annotated[str, typer.Option(help="Width x height of the window in logical pixels.")] = "1440x900",
    theme: Annotated[Literal["light", "dark"], typer.Option(help="Look of the window.")] = "light",
    select: Annotated[str, typer.Option(help="Path of the module to select.")] = "",
    mode: Annotated[
        Literal["train", "eval", "freeze_norms", "mc_dropout"] | None, typer.Option(help="Preset to apply first.")
    ] = None,
    setup: Setup,
    engine: Engine,
) -> None:
    """Render the window to a PNG, without a display."""
    from modelight.shot import Shot, take

    setup.selection = select
    raise typer.Exit(take(Shot(engine.place(setup), page, output, size_of(size), theme, mode, engine.command)))


def main() -> None:
    """Entry point of the ``modelight`` command."""
    app()
