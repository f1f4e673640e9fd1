"""The menus: what can be done with the program as a whole. Each action has its key and stands in the model button's
menu."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from modelight.sample_models import SAMPLES
from modelight.session import Session
from modelight.settings import Recent, Settings
from modelight.widgets.theme import ThemeFollower

PRESETS = ("train", "eval", "freeze_norms", "mc_dropout")


class Actions(QObject):
    """Actions and menus of one window. What needs a dialog is announced; the rest is done here."""

    open_requested = Signal()
    checkpoint_requested = Signal()
    inspect_requested = Signal()
    reestimate_requested = Signal()
    picture_requested = Signal()
    spec_requested = Signal(object)
    """A :class:`Recent` to open: from the recent models, or a sample."""
    copied = Signal(str)
    """Something was put on the clipboard: what."""

    def __init__(self, window: QWidget, session: Session, settings: Settings, follower: ThemeFollower) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._settings = settings
        self._follower = follower
        self.presets = QMenu(window)
        for name, title in zip(PRESETS, self._preset_titles(), strict=True):
            action = self.presets.addAction(title)
            action.setObjectName(f"preset-{name}")
            action.triggered.connect(lambda _=False, chosen=name: session.preset(chosen))
        self.menu = QMenu(window)
        self._recent = QMenu(self.tr("Recent"), window)
        self._recent.aboutToShow.connect(self._fill_recent)
        self._fill_menu()
        session.python_ready.connect(self._on_python)

    def _preset_titles(self) -> tuple[str, str, str, str]:
        return (
            self.tr("All train"),
            self.tr("All eval"),
            self.tr("Train, normalisation frozen"),
            self.tr("MC dropout: eval, dropouts on"),
        )

    def _fill_menu(self) -> None:
        menu = self.menu
        self._add(menu, self.tr("Open model…"), self.open_requested.emit, QKeySequence.StandardKey.Open)
        menu.addMenu(self._recent)
        samples = menu.addMenu(self.tr("Samples"))
        for name, title, lesson in SAMPLES:
            action = samples.addAction(title)
            action.setToolTip(lesson)
            action.triggered.connect(lambda _=False, chosen=name: self.spec_requested.emit(sample(chosen)))
        self.checkpoint = self._add(menu, self.tr("Load checkpoint…"), self.checkpoint_requested.emit, "Ctrl+L")
        self._add(menu, self.tr("Look into a checkpoint…"), self.inspect_requested.emit, "Ctrl+I")
        self.reestimate = self._add(
            menu, self.tr("Re-estimate running statistics…"), self.reestimate_requested.emit, "Ctrl+Shift+E"
        )
        menu.addSeparator()
        self._add_undo(menu)
        self.copy_python = self._add(menu, self.tr("Copy modes as Python"), self._session.ask_python, "Ctrl+Shift+C")
        menu.addSeparator()
        self.run = self._add(menu, self.tr("Run"), self._session.cycle.begin, "Ctrl+Return")
        self.live = self._add(menu, self.tr("Live"), self._toggle_live, "Ctrl+Shift+L")
        menu.addSeparator()
        self._fill_theme(menu.addMenu(self.tr("Theme")))
        self._add(menu, self.tr("Save picture of the window…"), self.picture_requested.emit, "Ctrl+Shift+S")
        menu.addSeparator()
        self._add(menu, self.tr("Quit"), self._window.close, QKeySequence.StandardKey.Quit)

    def _add(
        self, menu: QMenu, title: str, action: Callable[[], object], key: str | QKeySequence.StandardKey
    ) -> QAction:
        added = menu.addAction(title)
        added.setShortcut(QKeySequence(key))
        added.triggered.connect(lambda _=False: action())
        self._window.addAction(added)  # the key works without the menu
        return added

    def _add_undo(self, menu: QMenu) -> None:
        stack = self._session.undo
        for made, key in (
            (stack.createUndoAction(self._window, self.tr("Undo")), QKeySequence.StandardKey.Undo),
            (stack.createRedoAction(self._window, self.tr("Redo")), QKeySequence.StandardKey.Redo),
        ):
            made.setShortcut(QKeySequence(key))
            menu.addAction(made)
            self._window.addAction(made)

    def _fill_theme(self, menu: QMenu) -> None:
        group = QActionGroup(menu)
        titles = {"system": self.tr("As the system"), "light": self.tr("Light"), "dark": self.tr("Dark")}
        for choice, title in titles.items():
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setChecked(choice == self._follower.choice())
            action.triggered.connect(lambda _=False, chosen=choice: self._choose_theme(chosen))
            group.addAction(action)

    def _choose_theme(self, choice: str) -> None:
        self._settings.appearance = choice  # type: ignore[assignment]
        self._follower.set_choice(choice)

    def _fill_recent(self) -> None:
        self._recent.clear()
        for entry in self._settings.recent:
            action = self._recent.addAction(recent_title(entry))
            action.triggered.connect(lambda _=False, chosen=entry: self.spec_requested.emit(chosen))
        if self._recent.isEmpty():
            self._recent.addAction(self.tr("Nothing opened yet")).setEnabled(False)

    def _toggle_live(self) -> None:
        self._session.cycle.set_live(not self._session.cycle.live)

    def _on_python(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copied.emit(text)


def sample(name: str) -> Recent:
    """A sample model as something to open."""
    return Recent(f"modelight.sample_models.{name}:build", None, str(Path.cwd()))


def recent_title(entry: Recent) -> str:
    """Short name of a model opened before: file and callable, and the checkpoint's file."""
    spec = entry.spec.rpartition("/")[2]
    return f"{spec}  {Path(entry.checkpoint).name}" if entry.checkpoint else spec
