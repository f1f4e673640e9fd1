"""The window: assembles the parts and connects them. What a part does stands in the part."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from PySide6.QtCore import QEvent, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices, QDragEnterEvent, QDropEvent, QHideEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from modelight.actions import Actions
from modelight.dropped import Dropped, sort_files
from modelight.files_link import FilesLink
from modelight.findings_link import FindingsLink
from modelight.messages import Messages
from modelight.open_dialog import OpenDialog, checkpoint_filter
from modelight.pages import Pages
from modelight.panes import Panes
from modelight.protocol import CheckpointFacts, Opened, Trust
from modelight.session import Session
from modelight.settings import Recent, Settings
from modelight.setup import Setup
from modelight.status_link import StatusLink
from modelight.toolbar import Toolbar
from modelight.tree_link import TreeLink
from modelight.welcome_link import WelcomeLink
from modelight.widgets.findings_pane import FindingsPane
from modelight.widgets.status import StatusBar
from modelight.widgets.theme import ThemeFollower
from modelight.widgets.tree_pane import TreePane
from modelight.widgets.welcome import WelcomePage


class Window(QMainWindow):
    """The main window of one session."""

    def __init__(self, session: Session, settings: Settings, follower: ThemeFollower) -> None:
        super().__init__()
        self._session = session
        self._settings = settings
        self._follower = follower
        self.actions_ = Actions(self, session, settings, follower)
        self.toolbar = Toolbar(session, self.actions_.presets)
        self.toolbar.model_button.setMenu(self.actions_.menu)
        self.messages = Messages(session, settings)
        self.tree_pane = TreePane()
        self.pages = Pages(session)
        self.findings = FindingsPane()
        self.status = StatusBar()
        self.welcome = WelcomePage()
        self._links = (
            TreeLink(session, self.tree_pane, self.pages),
            FindingsLink(session, self.findings),
            StatusLink(session, self.status, self.pages),
            WelcomeLink(settings, self.welcome),
            FilesLink(session, self.messages),
        )
        self._assemble()
        self._connect(follower)
        self._restore_layout()
        self._name()

    def _assemble(self) -> None:
        self.splitter = Panes(self.tree_pane, self.pages, self.findings)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.welcome)
        self.stack.addWidget(self.splitter)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for part in (self.toolbar, _line(), self.messages):
            column.addWidget(part)
        column.addWidget(self.stack, 1)
        column.addWidget(_line())
        column.addWidget(self.status)
        self.setCentralWidget(body)
        self.messages.progress.setParent(body)
        self.messages.progress.hide()
        self.setAcceptDrops(True)

    def _connect(self, follower: ThemeFollower) -> None:
        session, actions = self._session, self.actions_
        session.opening.connect(lambda _: self.stack.setCurrentWidget(self.splitter))
        session.opened.connect(self._on_opened)
        follower.changed.connect(self.pages.retheme)
        actions.open_requested.connect(self.ask_for_model)
        actions.checkpoint_requested.connect(self.ask_for_checkpoint)
        actions.inspect_requested.connect(self.ask_for_inspection)
        actions.reestimate_requested.connect(self.reestimate)
        actions.picture_requested.connect(self.ask_for_picture)
        actions.spec_requested.connect(self.open_recent)
        actions.copied.connect(lambda text: self.messages.notice(self.tr("Copied:"), text))
        self.toolbar.input.clicked.connect(self.ask_for_input)
        self.pages.reestimate_requested.connect(self.reestimate)
        self.welcome.open_requested.connect(self.ask_for_model)
        self.welcome.inspect_requested.connect(self.ask_for_inspection)
        self.welcome.files_dropped.connect(lambda paths: self.take_files([Path(path) for path in paths]))
        self.welcome.sample_chosen.connect(lambda key: self.open_recent(WelcomeLink.sample(key)))
        self.welcome.recent_chosen.connect(lambda key: self.open_recent(self._settings.recent[int(key)]))
        self.findings.doc_requested.connect(self._show_finding)
        self.status.trace_pressed.connect(self.show_ledger)

    # ------------------------------------------------------------------------------------------------ what people ask
    # for

    def show_page(self, name: str) -> None:
        """Open a page by its name."""
        self.pages.show_page(name)

    def _show_finding(self, doc: str) -> None:
        """The page of a finding, in whatever program the desktop has for it."""
        path = resources.files("modelight.finding_pages") / f"{doc}.md"
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self.messages.problem(self.tr("No program here opens {path}.").format(path=path))

    def open_recent(self, entry: Recent) -> None:
        """Open a model by its spec."""
        self._session.open(Setup(entry.spec, entry.checkpoint, entry.directory))

    def ask_for_model(self, path: str = "") -> None:
        """The dialog that opens a model, on ``path`` if that is known."""
        devices = self._session.versions.devices if self._session.versions is not None else ["cpu"]
        dialog = OpenDialog(devices, str(Path.cwd()), self)
        dialog.model.setText(path)
        if dialog.exec():
            self._session.open(dialog.setup())

    def ask_for_checkpoint(self) -> None:
        """Choose a checkpoint for the open model."""
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Load a checkpoint"), "", checkpoint_filter())
        if path:
            self._session.load_checkpoint(path)

    def ask_for_inspection(self) -> None:
        """Choose a checkpoint to look into, without its model."""
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Look into a checkpoint"), "", checkpoint_filter())
        if path:
            self.inspect(path)

    def inspect(self, path: str) -> None:
        """Open a window on what a checkpoint holds."""
        from modelight.checkpoint_window import inspect  # brings pyqtgraph, which the first paint does not wait for

        inspect(self._session, path, self._show_checkpoint)

    def _show_checkpoint(self, facts: CheckpointFacts, trust: Trust) -> None:
        from modelight.checkpoint_window import CheckpointWindow

        window = CheckpointWindow(self._session, self._settings, facts, trust, self)
        self._follower.changed.connect(window.retheme)
        window.show()

    def reestimate(self) -> None:
        """Open the window that estimates running statistics from the present input."""
        if self._session.model is None or self._session.input is None:
            self.messages.problem(self.tr("Open a model and choose an input first."))
            return
        from modelight.reestimate_dialog import ReEstimateWindow  # brings pyqtgraph

        window = ReEstimateWindow(self._session, self)
        self._follower.changed.connect(window.retheme)
        window.show()

    def show_ledger(self) -> None:
        """Open a window on what the last run changed, tensor by tensor."""
        from modelight.ledger_view import LedgerWindow  # brings pyqtgraph

        window = LedgerWindow(self._session, self.pages, self)
        self._follower.changed.connect(window.retheme)
        window.show()

    def ask_for_input(self) -> None:
        """Edit what the model is fed."""
        from modelight.input_dialog import edit_input

        edit_input(self._session, self)

    def ask_for_picture(self) -> None:
        """Save the window as a PNG."""
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Save picture"), "modelight.png", "PNG (*.png)")
        if path and not self.grab().save(path):
            self.messages.problem(self.tr("The picture could not be written to {path}.").format(path=path))

    def take_files(self, paths: list[Path]) -> None:
        """Files dropped on the window: a model, a checkpoint, or an input."""
        dropped: Dropped = sort_files(paths)
        if dropped.model is not None:
            self.ask_for_model(str(dropped.model))
        elif self._session.model is None and dropped.checkpoint is not None:
            self.inspect(str(dropped.checkpoint))
        elif self._session.model is None:
            self.messages.problem(self.tr("Open a model first: drop its Python file here."))
        elif dropped.checkpoint is not None:
            self._session.load_checkpoint(str(dropped.checkpoint))
        elif dropped.sources:
            self._session.set_input(dropped.sources)
        else:
            names = ", ".join(path.name for path in paths)
            self.messages.problem(self.tr("Modelight knows no use for {names}.").format(names=names))

    # ------------------------------------------------------------------------------------------------------- own life

    def _on_opened(self, opened: Opened) -> None:
        setup = self._session.setup
        if setup is not None:
            self._settings.add_recent(Recent(setup.spec, setup.checkpoint, setup.directory))
        self._name(opened)

    def _name(self, opened: Opened | None = None) -> None:
        names = ["Modelight"]
        if opened is not None:
            names = [opened.name, *([Path(opened.report.path).name] if opened.report else [])]
        self.setWindowTitle(" · ".join(names) if opened is None else "Modelight — " + " · ".join(names))

    def _restore_layout(self) -> None:
        self.resize(1440, 900)
        if (geometry := self._settings.layout("window")) is not None:
            self.restoreGeometry(geometry)
        if (panes := self._settings.layout("panes")) is not None:
            self.splitter.moved = self.splitter.restoreState(panes)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._settings.set_layout("window", self.saveGeometry())
        if self.splitter.moved:
            self._settings.set_layout("panes", self.splitter.saveState())
        self._session.close()
        super().closeEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        strip = self.messages.progress
        height = strip.sizeHint().height()
        strip.setGeometry(0, self.height() - self.status.height() - height, self.width(), height)

    def hideEvent(self, event: QHideEvent) -> None:
        self._session.cycle.set_live(False)
        super().hideEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.WindowStateChange and self.isMinimized():
            self._session.cycle.set_live(False)
        super().changeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            self.take_files(paths)


def _line() -> QWidget:
    from modelight.widgets.labels import hairline

    return hairline()
