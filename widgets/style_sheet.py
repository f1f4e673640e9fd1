"""The one style sheet: standard controls dressed in the theme's colours. What has a mark or a mode paints itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelight.widgets.theme import Tokens

_TEMPLATE = """
QToolTip {{ background: {surface}; color: {text}; border: 1px solid {edge}; padding: 4px 6px; }}

QMainWindow, QDialog {{ background: {chrome}; }}
QMainWindow::separator {{ background: {line}; width: 1px; height: 1px; }}
QSplitter::handle {{ background: {line}; }}
QSplitter::handle:horizontal {{ width: 1px; }}
QSplitter::handle:vertical {{ height: 1px; }}
QToolBar {{ background: {chrome}; border: none; border-bottom: 1px solid {line}; padding: 0; spacing: 0; }}

QLabel {{ background: transparent; }}
QLabel[tone="text2"] {{ color: {text2}; }}
QLabel[tone="text3"] {{ color: {text3}; }}
QLabel[tone="attention"] {{ color: {attention}; }}
QLabel[tone="confirmed"] {{ color: {confirmed}; }}
QLabel[tone="train_words"] {{ color: {train_words}; }}
QLabel[tone="eval_words"] {{ color: {eval_words}; }}

QWidget[ground="chrome"] {{ background: {chrome}; }}
QWidget[ground="surface"] {{ background: {surface}; }}
QWidget[ground="sunken"] {{ background: {sunken}; }}
QWidget[ground="line"] {{ background: {line}; }}

QLineEdit, QPlainTextEdit, QTextEdit {{
    background: {surface}; color: {text}; border: 1px solid {edge}; border-radius: 6px; padding: 0 8px;
    selection-background-color: {selection}; selection-color: {text};
}}
QLineEdit, QPlainTextEdit, QTextEdit {{ placeholder-text-color: {text3}; }}
QLineEdit {{ min-height: 26px; max-height: 26px; }}
QPlainTextEdit, QTextEdit {{ padding: 6px; }}
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus {{ border-color: {ink}; }}
QLineEdit:disabled {{ background: {sunken}; color: {text3}; }}
QAbstractSpinBox QLineEdit, QComboBox QLineEdit {{ border: none; background: transparent; padding: 0; min-height: 0; }}
*[bare="true"], *[bare="true"]:focus {{ border: none; border-radius: 0; background: transparent; padding: 0; }}

QHeaderView {{ background: {sunken}; border: none; }}
QHeaderView::section {{
    background: {sunken}; color: {text2}; border: none; border-bottom: 1px solid {line}; padding: 0 4px;
    font-size: 11px; font-weight: 500;
}}
QTableView, QListView, QTreeView {{
    background: {surface}; border: none; outline: none;
    selection-background-color: {selection}; selection-color: {text};
}}
QListView[boxed="true"] {{ border: 1px solid {edge}; border-radius: 6px; padding: 1px; }}

QMenu {{ background: {surface}; border: 1px solid {edge}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 4px; color: {text}; }}
QMenu::item:selected {{ background: {selection}; }}
QMenu::item:disabled {{ color: {text3}; }}
QMenu::separator {{ background: {line}; height: 1px; margin: 4px 8px; }}
QMenuBar {{ background: {chrome}; color: {text}; border-bottom: 1px solid {line}; }}
QMenuBar::item {{ padding: 4px 8px; background: transparent; }}
QMenuBar::item:selected {{ background: {selection}; border-radius: 4px; }}

QScrollArea {{ border: none; background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {edge}; border-radius: 3px; margin: 2px; }}
QScrollBar::handle:hover {{ background: {text3}; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QAbstractScrollArea::corner {{ background: transparent; border: none; }}

QProgressBar {{ background: {line}; border: none; border-radius: 2px; min-height: 4px; max-height: 4px; }}
QProgressBar::chunk {{ background: {ink}; border-radius: 2px; }}
"""


def style_sheet(tokens: Tokens) -> str:
    """The style sheet in the colours of ``tokens``.

    Dynamic properties that widgets set: ``tone`` on labels (a token's name), ``ground`` on containers (``chrome``,
    ``surface`` or ``sunken``; needs ``WA_StyledBackground`` on plain widgets), ``bare`` on fields that stand inside
    another frame.
    """
    return _TEMPLATE.format_map(vars(tokens))
