"""The input's editor, opened on what the session feeds the model now."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from modelight.session import Session


def edit_input(session: Session, parent: QWidget) -> None:
    """Let the person edit the input; on accept the session takes it."""
