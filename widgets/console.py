"""What the model process prints, to read, select and copy."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from modelight.widgets import theme
from modelight.widgets.buttons import Button
from modelight.widgets.labels import hairline, label

LINES = 5_000
"""Older lines go."""
_LINE_LENGTH = 10_000
"""One endless line would make Qt's layout crawl, so it is broken."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class Console(QWidget):
    """A capped, read-only console. Knows carriage return, so that progress bars stay on one line."""

    line_count_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("console")
        self.setProperty("ground", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._carry = ""
        self._returned = False
        self._column = 0
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setMaximumBlockCount(LINES)
        self._text.setUndoRedoEnabled(False)
        self._text.setFont(theme.fixed_font())
        self._text.setProperty("bare", True)
        self._text.setAccessibleName(self.tr("Console of the model process"))
        self._text.setPlaceholderText(self.tr("What the model prints appears here."))
        self._text.document().setDocumentMargin(12)
        self._lay_out()
        self._text.blockCountChanged.connect(self.line_count_changed)

    def _lay_out(self) -> None:
        copy = Button(self.tr("Copy"), height=26)
        copy.setObjectName("console-copy")
        copy.clicked.connect(self.copy_all)
        clear = Button(self.tr("Clear"), height=26)
        clear.setObjectName("console-clear")
        clear.clicked.connect(self.clear)
        head = QHBoxLayout()
        head.setContentsMargins(12, 5, 12, 5)
        head.setSpacing(8)
        head.addWidget(label(self.tr("Console"), 13, 600))
        head.addWidget(label(self.tr("stdout and stderr of the model process"), 12, tone="text2"))
        head.addStretch(1)
        head.addWidget(copy)
        head.addWidget(clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(hairline())
        column.addWidget(self._text, 1)

    def text(self) -> str:
        """All that is kept."""
        return self._text.toPlainText()

    def clear(self) -> None:
        """Forget everything."""
        self._carry = ""
        self._returned = False
        self._column = 0
        self._text.clear()

    def copy_all(self) -> None:
        """Put everything on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def append(self, chunk: str) -> None:
        """Add what the pipe delivered: perhaps half a line, perhaps half an escape sequence."""
        bar = self._text.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        chunk = self._whole_sequences(self._carry + chunk)
        cursor = QTextCursor(self._text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for piece in re.split(r"(\r\n|\n|\r)", chunk):
            self._put(cursor, piece)
        if at_end:
            bar.setValue(bar.maximum())

    def _whole_sequences(self, text: str) -> str:
        """The text without escape sequences; one that has only begun waits for the next chunk."""
        text = _ESCAPES.sub("", text)
        begun = text.rfind("\x1b")
        if begun >= 0 and len(text) - begun < 64:
            self._carry = text[begun:]
            return text[:begun]
        self._carry = ""
        return text.replace("\x1b", "")

    def _put(self, cursor: QTextCursor, piece: str) -> None:
        if piece == "\r":
            self._returned = True
        elif piece in ("\n", "\r\n"):
            self._returned = False
            self._new_line(cursor)
        elif piece:
            if self._returned:
                cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
                cursor.removeSelectedText()
                self._returned, self._column = False, 0
            for start in range(0, len(piece), _LINE_LENGTH):
                if self._column >= _LINE_LENGTH:
                    self._new_line(cursor)
                part = piece[start : start + _LINE_LENGTH]
                cursor.insertText(part)
                self._column += len(part)

    def _new_line(self, cursor: QTextCursor) -> None:
        cursor.insertBlock()
        self._column = 0
