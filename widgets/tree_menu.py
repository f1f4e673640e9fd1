"""The context menu of a module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from modelight.widgets.lamp import lamp_icon
from modelight.widgets.tree_model import Node

if TYPE_CHECKING:
    from modelight.widgets.module_tree import ModuleTree


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModuleTree", text)


def fill_menu(menu: QMenu, node: Node, tree: ModuleTree) -> None:
    """Put in what can be done with a module; every action ends in one of the tree's signals."""
    path, type_ = node.row.path, node.row.type
    if node.lamp != "none":
        _add_modes(menu, "mode", _tr("Train"), _tr("Eval"), lambda on: _request(tree, path, on, True))
        if node.children:
            alone = _tr("Only this module: train"), _tr("Only this module: eval")
            _add_modes(menu, "only", *alone, lambda on: _request(tree, path, on, False))
        every = _tr("All {0}: train").format(type_), _tr("All {0}: eval").format(type_)
        _add_modes(menu, "type", *every, lambda on: tree.type_mode_requested.emit(type_, on))
        if node.row.has_statistics:
            _add(menu, "freeze", _tr("Freeze statistics"), lambda: tree.freeze_requested.emit(path))
        menu.addSeparator()
    if node.row.parameters:
        _add(menu, "grad-on", _tr("requires_grad on"), lambda: tree.requires_grad_requested.emit(path, True))
        _add(menu, "grad-off", _tr("requires_grad off"), lambda: tree.requires_grad_requested.emit(path, False))
        menu.addSeparator()
    if node.row.own_train:
        for training in (True, False):
            text = _tr("Call its own train({0})").format(training)
            _add(menu, f"own-train-{training}", text, partial(tree.own_train_requested.emit, path, training))
        menu.addSeparator()
    _add(menu, "copy", _tr("Copy path"), lambda: QGuiApplication.clipboard().setText(path or node.row.name))


def _request(tree: ModuleTree, path: str, training: bool, recursive: bool) -> None:
    tree.set_pending(path, recursive)
    tree.mode_requested.emit(path, training, recursive)


def _add(menu: QMenu, name: str, text: str, action: Callable[[], object]) -> None:
    entry = menu.addAction(text)
    entry.setObjectName(name)
    entry.triggered.connect(lambda: action())


def _add_modes(menu: QMenu, name: str, train: str, evaluate: str, request: Callable[[bool], object]) -> None:
    for training, text in ((True, train), (False, evaluate)):
        _add(menu, f"{name}-{'train' if training else 'eval'}", text, partial(request, training))
        menu.actions()[-1].setIcon(lamp_icon("train" if training else "eval"))
    menu.addSeparator()
