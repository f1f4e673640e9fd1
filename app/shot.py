"""The window without a display: rendered offscreen to a PNG, with its report in words."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelight.protocol import Example, Noise
from modelight.setup import Setup

if TYPE_CHECKING:
    from modelight.session import Session
    from modelight.window import Window

PATIENCE_MS = 600_000
DEMO = "modelight.sample_models.digits_cnn:build"
DEMO_HINT = (
    "This is the incident: a trained model under no_grad() but without eval(), each sample run alone. "
    "Press Set eval to cure it; or set Batch to 8, and see it vanish without being cured."
)


@dataclass(frozen=True)
class Shot:
    """What to render: the page ``page`` of the window at ``size`` (width, height in logical pixels)."""

    setup: Setup
    page: str
    output: Path
    size: tuple[int, int] = (1440, 900)
    theme: str = "light"
    preset: str | None = None
    command: list[str] | None = None
    """What starts the model process, where that is not this interpreter's own."""


def demo_setup() -> Setup:
    """The incident: eight digits and four pictures of noise, each run alone, under no_grad and in train mode."""
    return Setup(DEMO, sources=[Example(), Noise("uniform", samples=4)], directory=str(Path.cwd()))


def take(shot: Shot) -> int:
    """Render and save; returns 0, or 1 where the model could not be opened or run (the picture then shows why)."""
    hush()
    with Offscreen(shot.size, shot.theme, shot.command) as stage:
        ok = stage.open(shot.setup)
        if ok and shot.preset:
            ok = stage.preset(shot.preset)
        stage.show_page(shot.page)
        ok = stage.save(shot.output) and ok
    for problem in stage.problems:
        print(problem, file=sys.stderr)  # noqa: T201
    print(f"The window is in {shot.output.resolve()}")  # noqa: T201
    return 0 if ok else 1


def demo_report(output: Path) -> int:
    """``make run`` without a display: the incident, its cure and what hides it in words; the window as a PNG."""
    from modelight.report import Report

    hush()
    with Offscreen((1440, 900), "light") as stage:
        report = Report(stage.session)
        ok = stage.open(demo_setup())
        ok = stage.save(output) and ok
        print(report.text("The incident: trained model, no_grad(), but no eval()"))  # noqa: T201
        ok = ok and stage.preset("eval")
        print(report.text("The cure: model.eval()"))  # noqa: T201
        ok = ok and stage.preset("train") and stage.batch(8)
        print(report.text("What hides it: in train again, but eight samples at a time"))  # noqa: T201
    for problem in stage.problems:
        print(problem, file=sys.stderr)  # noqa: T201
    print(f"There is no display, so the window was rendered to {output.resolve()}")  # noqa: T201
    return 0 if ok else 1


def hush() -> None:
    from PySide6.QtCore import qInstallMessageHandler

    qInstallMessageHandler(_say_what_matters)


def _say_what_matters(kind: object, context: object, text: str | None) -> None:
    """Qt's messages to stderr, but for one that the offscreen platform repeats for every window with a least size."""
    if text and "propagateSizeHints" not in text:
        print(text, file=sys.stderr)  # noqa: T201


class Offscreen:
    """An application, a session and a window on Qt's offscreen platform, with settings that nobody keeps."""

    def __init__(self, size: tuple[int, int], theme: str, command: list[str] | None = None) -> None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        os.environ.setdefault("QT_SCALE_FACTOR", "1")
        self._size = size
        self._theme = theme
        self._command = command
        self.problems: list[str] = []
        self.session: Session
        self.window: Window

    def __enter__(self) -> Offscreen:
        from PySide6.QtCore import QSettings
        from PySide6.QtWidgets import QApplication

        from modelight.client import Client
        from modelight.session import Session
        from modelight.settings import Settings
        from modelight.widgets.theme import ThemeFollower
        from modelight.window import Window

        self._application = QApplication.instance() or QApplication([sys.argv[0]])
        assert isinstance(self._application, QApplication)
        self._folder = tempfile.TemporaryDirectory()
        store = QSettings(str(Path(self._folder.name) / "settings.ini"), QSettings.Format.IniFormat)
        follower = ThemeFollower(self._application, self._theme)
        settings = Settings(store)
        self.session = Session(Client(command=self._command), trusted=settings.trusts)
        self.session.problem.connect(lambda problem: self.problems.append(problem.sentence))
        self.session.consent_needed.connect(
            lambda consent: self.problems.append(f"{consent.sentence} --trust allows it.")
        )
        self.window = Window(self.session, settings, follower)
        self.window.resize(*self._size)
        self.window.show()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.window.close()
        self.window.deleteLater()
        self._folder.cleanup()

    def open(self, setup: Setup) -> bool:
        """Open, run and look for findings."""
        return self._complete(lambda: self.session.open(setup))

    def preset(self, name: str) -> bool:
        return self._complete(lambda: self.session.preset(name))

    def batch(self, size: int) -> bool:
        return self._complete(lambda: self.session.set_batch(size))

    def _complete(self, action: Callable[[], object]) -> bool:
        """Settle, and do also what a window would ask for first where a model is slow."""
        cycle = self.session.cycle
        if not self.settle(action):
            return False
        return (not cycle.stale or self.settle(cycle.begin)) and (cycle.looked or self.settle(cycle.look))

    def show_page(self, name: str) -> bool:
        """Open a page; the comparison is made if it has not been."""
        self.window.show_page(name)
        if not self.session.cycle.ready:
            return False
        if name == "experiments":
            cycle = self.session.cycle
            asked = (cycle.batch_curve, cycle.repeatability, lambda: cycle.mc_dropout(32))
            return all(self.settle(ask) for ask in asked)
        if self.session.input is None:
            return True  # nothing was opened, so there is nothing to wait for
        if name == "gradients":
            return self.settle(self.session.cycle.look_at_gradients)
        if name != "compare" or self.window.pages.seen.compared is not None:
            return True
        return self.settle(self.session.cycle.compare)

    def save(self, output: Path) -> bool:
        """Grab the window once it has laid itself out; what is made when first painted is there at the second grab."""
        for _ in range(3):
            self._application.processEvents()
            picture = self.window.grab()
        return picture.save(str(output))

    def settle(self, action: Callable[[], object]) -> bool:
        """Do something and wait until all that follows from it is computed, or has failed."""
        from PySide6.QtCore import QEventLoop, QTimer

        loop, cycle = QEventLoop(), self.session.cycle
        failed: list[object] = []

        def fail(problem: object) -> None:
            failed.append(problem)
            if not cycle.busy:  # else findings are still looked for
                loop.quit()

        self.session.problem.connect(fail)
        self.session.consent_needed.connect(fail)  # there is nobody to ask
        cycle.settled.connect(loop.quit)
        QTimer.singleShot(PATIENCE_MS, loop, loop.quit)
        action()
        loop.exec()
        self.session.problem.disconnect(fail)
        self.session.consent_needed.disconnect(fail)
        cycle.settled.disconnect(loop.quit)
        return not failed
