"""Every page of the window, as pictures, in light and dark. ``make approve`` takes new ones; look at them first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QApplication

from modelight.shot import Offscreen
from modelight.widgets import theme
from tests.gui.compare import assert_looks_like, grab

After = Callable[[Offscreen, Callable[[], Any]], None]
PAGES = ("output", "dropout", "statistics", "layers")


@pytest.fixture(autouse=True)
def light_again(qapp: QApplication, incident: Offscreen) -> Iterator[None]:
    yield
    if theme.current() is not theme.LIGHT:
        dress(qapp, incident, theme.LIGHT)


def dress(application: QApplication, stage: Offscreen, tokens: theme.Tokens) -> None:
    theme.apply(application, tokens)
    stage.window.pages.retheme()


def look(stage: Offscreen, page: str, name: str) -> None:
    stage.window.show_page(page)
    for _ in range(3):  # what is made when it is first painted is there at the second grab
        QApplication.processEvents()
        stage.window.grab()
    # The status bar tells the time that a run took.
    assert_looks_like(grab(stage.window, without=[stage.window.status]), name)


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("page", PAGES)
def test_the_incident(qapp: QApplication, incident: Offscreen, page: str, tokens: theme.Tokens) -> None:
    dress(qapp, incident, tokens)
    look(incident, page, f"incident-{page}-{tokens.name}")


def test_a_narrow_window(incident: Offscreen) -> None:
    incident.window.resize(1280, 800)
    try:
        look(incident, "output", "incident-output-1280")
    finally:
        incident.window.resize(1440, 900)


def test_the_cure(incident: Offscreen, after: After) -> None:
    after(incident, lambda: incident.session.set_mode("", False))
    look(incident, "output", "cure-output")
    after(incident, incident.session.undo.undo)


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=lambda tokens: tokens.name)
def test_the_comparison(qapp: QApplication, incident: Offscreen, tokens: theme.Tokens) -> None:
    assert incident.show_page("compare")
    seen = incident.window.pages.seen
    assert seen.compared is not None
    # Times differ from run to run; all else is the same for the same seed.
    seen.compared = replace(seen.compared, cells=[replace(cell, milliseconds=1.0) for cell in seen.compared.cells])
    dress(qapp, incident, tokens)
    look(incident, "compare", f"incident-compare-{tokens.name}")


def test_the_welcome_page(stage: Offscreen) -> None:
    assert_looks_like(grab(stage.window, without=[]), "welcome")
