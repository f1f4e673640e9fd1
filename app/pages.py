"""The middle of the window: the row of pages and the page that is open. Only what is looked at is computed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from modelight import protocol as p
from modelight.session import Session
from modelight.views import CompareView, DropoutView, LayersView, OutputView, Seen, StatisticsView, View
from modelight.widgets.console import Console
from modelight.widgets.tabs import PageTabs


class Pages(QWidget):
    """Output, Dropout, Statistics, Layers and the console."""

    page_changed = Signal(str)
    reestimate_requested = Signal()
    """The Statistics page asks for statistics of the present input."""
    row_selected = Signal(str)
    """A page points at a module: its path."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.seen = Seen()
        self._opening = False
        self._views: dict[str, View] = {}
        self._makers: dict[str, Callable[[], View]] = {
            "output": lambda: OutputView(session, self.seen),
            "dropout": lambda: DropoutView(session, self.seen),
            "statistics": self._make_statistics,
            "layers": self._make_layers,
            "compare": lambda: CompareView(session, self.seen),
            "gradients": self._make_gradients,
            "experiments": self._make_experiments,
        }
        self.console = Console()
        self.tabs = PageTabs()
        self.stack = QStackedWidget()
        self._assemble()
        self._connect()

    def _assemble(self) -> None:
        from modelight.widgets.empty import EmptyPage

        titles = {
            "output": self.tr("Output"),
            "dropout": self.tr("Dropout"),
            "statistics": self.tr("Statistics"),
            "layers": self.tr("Layers"),
            "compare": self.tr("Compare"),
            "gradients": self.tr("Gradients"),
            "experiments": self.tr("Experiments"),
            "console": self.tr("Console"),
        }
        for name, title in titles.items():
            self.tabs.setTabData(self.tabs.addTab(title), name)
        self._empty = EmptyPage()
        self._empty.pressed.connect(self._on_empty_pressed)
        self.stack.addWidget(self._empty)
        self.stack.addWidget(self.console)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tabs)
        column.addWidget(self.stack, 1)

    def _connect(self) -> None:
        session, cycle, history = self._session, self._session.cycle, self.seen.history
        # Several things change at once after a flip; the page is filled once, when all have been said.
        self._due = QTimer(self, singleShot=True, interval=0)
        self._due.timeout.connect(self.refresh)
        session.opening.connect(lambda _: self._set_opening(True))
        for done in (session.opened, session.problem, session.consent_needed):
            done.connect(lambda _: self._set_opening(False))
        self.tabs.currentChanged.connect(self._on_tab)
        # A page that is opened shows the module that was selected meanwhile, once it has its places.
        self._pointing = QTimer(self, singleShot=True, interval=0)
        self._pointing.timeout.connect(self._point_at_selection)
        session.console.connect(self.console.append)
        for emptied in (session.opening, session.opened, session.input_changed):
            emptied.connect(lambda _: self._forget(history.clear))
        for emptied in (session.opening, session.opened):
            emptied.connect(lambda _: self._forget_comparison())
        session.states_changed.connect(lambda _: self._forget(history.flags_changed))
        session.own_train_called.connect(history.own_train_called)
        cycle.restarted.connect(lambda: self._forget(None))
        cycle.frame.connect(self._on_frame)
        cycle.contrast.connect(self._on_frame)
        cycle.same.connect(self._on_same)
        cycle.compared.connect(self._on_compared)
        session.tensors_changed.connect(self._outdate)
        session.problem.connect(lambda _: self._due.start())  # where a model could not be opened, nothing else is said
        cycle.settled.connect(self._due.start)

    def page(self) -> str:
        """Name of the open page."""
        return str(self.tabs.tabData(self.tabs.currentIndex()))

    def show_page(self, name: str) -> None:
        """Open a page."""
        for index in range(self.tabs.count()):
            if self.tabs.tabData(index) == name:
                self.tabs.setCurrentIndex(index)
        self.refresh()

    def refresh(self) -> None:
        """Fill the open page with what is known now."""
        name = self.page()
        if name == "console":
            self.stack.setCurrentWidget(self.console)
            return
        if self._session.model is None or self.seen.history.newest is None:
            self._show_empty()
            return
        view = self._view(name)
        if view.refresh():
            self.stack.setCurrentWidget(view.widget)
        else:
            self._empty.set_text(self._nothing(name))
            self.stack.setCurrentWidget(self._empty)

    def point_at(self, path: str) -> None:
        """A module was selected in the tree: the open page shows it."""
        if (view := self._views.get(self.page())) is not None:
            view.point_at(path)

    def _point_at_selection(self) -> None:
        if self._session.setup is not None and self._session.setup.selection:
            self.point_at(self._session.setup.selection)

    def accuracy(self) -> tuple[int, int] | None:
        """(right, labelled) samples over the last runs; None where nothing is labelled."""
        from modelight.present.output import output_data

        info, model = self._session.input, self._session.model
        data = output_data(self.seen.history, info, None, None, model.classes) if info and model else None
        return data.accuracy if data is not None else None

    def retheme(self) -> None:
        """The theme has changed."""
        for view in self._views.values():
            view.retheme()

    def _view(self, name: str) -> View:
        if name not in self._views:
            self._views[name] = view = self._makers[name]()
            self.stack.addWidget(view.widget)
        return self._views[name]

    def _make_statistics(self) -> View:
        view = StatisticsView(self._session, self.seen)
        view.widget.layer_selected.connect(self.row_selected)
        view.widget.reestimate_requested.connect(self.reestimate_requested)
        return view

    def _make_layers(self) -> View:
        view = LayersView(self._session, self.seen)
        view.widget.row_selected.connect(self.row_selected)
        return view

    def _make_experiments(self) -> View:
        from modelight.experiments_view import ExperimentsView

        return ExperimentsView(self._session)

    def _make_gradients(self) -> View:
        from modelight.gradients_view import GradientsView

        view = GradientsView(self._session)
        view.widget.row_selected.connect(self.row_selected)
        return view

    def _show_empty(self) -> None:
        if self._session.model is None:
            opening = self.tr("Opening the model…")
            self._empty.set_text(opening if self._opening else self.tr("Open a model to see what it does."))
        elif not self._session.alive:
            self._empty.set_text(self.tr("The model process has ended."), self.tr("Restart"))
        elif self._session.cycle.busy:
            self._empty.set_text(self.tr("Running…"))
        elif self._session.input is None:
            self._empty.set_text(self.tr("Choose an input to run the model: the Input menu, or drop a file here."))
        elif self._session.cycle.failed:
            words = self.tr("In this state the run stops with an error. Another mode, input or batch size may run.")
            self._empty.set_text(words, self.tr("Run again"))
        else:
            self._empty.set_text(self.tr("Run the model to see what it does in this state."), self.tr("Run"))
        if not self._session.cycle.busy or self.stack.currentWidget() is self._empty:
            self.stack.setCurrentWidget(self._empty)

    def _set_opening(self, opening: bool) -> None:
        self._opening = opening
        self._due.start()

    def _on_empty_pressed(self) -> None:
        if self._session.alive:
            self._session.cycle.begin()
        else:
            self._session.restart()

    def _nothing(self, name: str) -> str:
        frame = self.seen.history.newest
        unseen = [] if frame is None else [one.unseen.id for one in frame.modules if one.unseen is not None]
        if name == "dropout" and "other-thread" in unseen:
            return self.tr("No dropout was seen, but parts of this model run in a thread of their own, out of sight.")
        return {
            "dropout": self.tr("This model drops nothing: no dropout layer, and no dropout function in this run."),
            "statistics": self.tr("This model has no layer with running statistics."),
        }.get(name, self.tr("The model returned no tensor, so there is nothing to plot."))

    def _on_tab(self) -> None:
        self._session.cycle.statistics_shown = self.page() == "statistics"
        self.refresh()
        self._pointing.start()
        self.page_changed.emit(self.page())

    def _forget(self, forget: Callable[[], None] | None) -> None:
        self.seen.same = None
        if forget is not None:
            forget()

    def _forget_comparison(self) -> None:
        self.seen.compared, self.seen.outdated = None, False

    def _outdate(self) -> None:
        self.seen.outdated = self.seen.compared is not None

    def _on_compared(self, compared: p.Compared) -> None:
        self.seen.compared, self.seen.outdated = compared, False
        self._due.start()

    def _on_frame(self, frame: p.Frame) -> None:
        self.seen.history.add(frame)
        self._due.start()

    def _on_same(self, same: p.SameAnswer) -> None:
        self.seen.same = same
        self._due.start()
