"""Tree and session: what the tree asks for goes to the engine, what the engine says goes to the tree."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSignalBlocker

from modelight.pages import Pages
from modelight.present.selection import Selected, selection, subtree
from modelight.present.tree import tree_rows, tree_shapes, tree_states
from modelight.protocol import Frame, Opened, RowState
from modelight.session import Session
from modelight.widgets.tree_pane import TreePane


class TreeLink(QObject):
    """Connects a :class:`TreePane`. The tree shows the engine's word, never a guess."""

    def __init__(self, session: Session, pane: TreePane, pages: Pages) -> None:
        super().__init__(pane)
        self._session, self._pane, self._pages = session, pane, pages
        tree = pane.tree
        tree.mode_requested.connect(session.set_mode)
        tree.type_mode_requested.connect(self._on_type)
        tree.freeze_requested.connect(self._on_freeze)
        tree.requires_grad_requested.connect(session.set_requires_grad)
        tree.own_train_requested.connect(session.call_train)
        tree.row_selected.connect(self._on_selected)
        pane.selection.own_train_requested.connect(self._on_own_train)
        pages.row_selected.connect(tree.select)
        session.opening.connect(self._on_opening)
        session.opened.connect(self._on_opened)
        session.problem.connect(lambda _: self._on_problem())
        session.materialised.connect(self._on_opened)
        session.learned.connect(self._on_states)
        session.pending.connect(tree.set_pending)
        session.states_changed.connect(self._on_states)
        session.refused.connect(lambda: self._on_states(session.states))
        self._batch = 0
        session.settings_changed.connect(self._on_settings)
        session.cycle.frame.connect(self._on_frame)

    def _on_opening(self, spec: str) -> None:
        self._pane.tree.set_empty_text(self.tr("Opening {spec}").format(spec=spec))
        with QSignalBlocker(self._pane.tree):  # the selection is the person's; it comes back with the rows
            self._pane.tree.set_rows([], [])
        self._pane.selection.set_selection(None)

    def _on_problem(self) -> None:
        if self._session.model is None and self._session.setup is not None:
            spec = self._session.setup.spec
            self._pane.tree.set_empty_text(self.tr("{spec} is not open.").format(spec=spec))

    def _on_opened(self, opened: Opened) -> None:
        self._batch = self._session.setup.batch if self._session.setup is not None else 0
        states = tree_states(opened.states, opened.rows, self._batch)
        rows = tree_rows(opened.rows, opened.name)
        wanted = self._session.setup.selection if self._session.setup is not None else ""
        self._pane.tree.set_rows(rows, [states[index] for index in range(len(rows))])
        known = any(row.path == wanted for row in opened.rows)
        self._pane.tree.select(wanted if known else "")

    def _on_states(self, states: list[RowState]) -> None:
        if self._session.model is not None:
            self._pane.tree.update_states(tree_states(states, self._session.model.rows, self._batch))
            self._show_selection()

    def _on_settings(self) -> None:
        setup = self._session.setup
        if setup is not None and setup.batch != self._batch:
            self._batch = setup.batch
            self._on_states(self._session.states)
        self._show_selection()

    def _on_frame(self, frame: Frame) -> None:
        self._pane.tree.set_shapes(tree_shapes(frame))
        self._show_selection()

    def _on_selected(self, path: str) -> None:
        self._session.select(path)
        self._show_selection()
        self._pages.point_at(path)

    def _show_selection(self) -> None:
        model, setup = self._session.model, self._session.setup
        path = self._pane.tree.selected_path()
        if model is None or setup is None or path is None:
            self._pane.selection.set_selection(None)
            return
        index = next(number for number, row in enumerate(model.rows) if row.path == path)
        has_children = index + 1 < len(model.rows) and model.rows[index + 1].parent == index
        chosen = Selected(
            model.rows[index],
            self._session.states[index],
            model.name,
            setup.grad_mode,
            self._pane.tree.lamp(path),
            self._pages.seen.history.newest,
            has_children=has_children,
            below=subtree(index, model.rows, self._session.states) if has_children else None,
        )
        self._pane.selection.set_selection(selection(chosen))

    def _on_own_train(self, training: bool) -> None:
        if (path := self._pane.tree.selected_path()) is not None:
            self._session.call_train(path, training)

    def _on_type(self, type_name: str, training: bool) -> None:
        if self._session.model is None:
            return
        flags = {row.path: training for row in self._session.model.rows if row.type == type_name}
        text = self.tr("Set every {type} {mode}").format(type=type_name, mode="train" if training else "eval")
        self._session.set_flags(flags, text)

    def _on_freeze(self, path: str) -> None:
        """Normalisation layers of the subtree to eval: they then use their running statistics and leave them alone."""
        if self._session.model is None:
            return
        below = f"{path}." if path else ""
        flags = {
            row.path: False
            for row in self._session.model.rows
            if (row.path == path or row.path.startswith(below)) and row.kind in ("batch_norm", "instance_norm")
        }
        self._session.set_flags(flags, self.tr("Freeze statistics of {path}").format(path=path or self._session.name))
