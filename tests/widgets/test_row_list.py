"""What the lists of the pages share: Qt's own checks of the model, and figures that change under a selection."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from modelight.widgets import theme
from modelight.widgets.row_list import ROW_ROLE, RowDelegate, RowList, RowModel

from .conftest import Picture


@dataclass(frozen=True)
class Line:
    path: str
    figure: float = 0.0
    name: str = "net"
    type: str = "Linear"


class Squares(RowDelegate):
    HEIGHT = 30

    def paint_row(self, painter: QPainter, row: Line, rect: QRectF) -> None:
        painter.fillRect(QRectF(rect.left() + row.figure, rect.top() + 5, 10, 10), theme.color("attention"))


def test_the_model_is_a_model_and_names_its_rows(qtmodeltester: ModelTester) -> None:
    model = RowModel[Line]()
    qtmodeltester.check(model)
    model.set_rows((Line(""), Line("a")))
    qtmodeltester.check(model)
    assert [model.index(at).data() for at in range(2)] == ["net", "a"]
    assert model.index(1).data(Qt.ItemDataRole.ToolTipRole) == "a\nLinear"
    model.set_rows(())
    qtmodeltester.check(model)


def test_new_figures_of_the_same_rows_keep_the_selection(qtbot: QtBot) -> None:
    view, model = RowList(), RowModel[Line]()
    qtbot.addWidget(view)
    view.setModel(model)
    delegate = Squares(view)
    view.setItemDelegate(delegate)
    view.resize(200, 120)
    model.set_rows((Line("a"), Line("b")))
    view.show()
    view.setCurrentIndex(model.index(1))
    model.set_rows((Line("a", 50.0), Line("b", 60.0)))
    assert view.currentIndex().data(ROW_ROLE) == Line("b", 60.0)
    assert view.visualRect(model.index(1)).height() == 30
    assert Picture(view.viewport()).holds("attention")
    model.set_rows((Line("c"),))
    assert not view.currentIndex().isValid()
