"""The model's files on disk: when one changes, a reload is offered."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer

from modelight.messages import Messages
from modelight.protocol import Opened
from modelight.session import Session

QUIET_MS = 400
"""Editors and training loops write in several steps; the offer comes once they are done."""


class FilesLink(QObject):
    """Watches what the open model was made from."""

    def __init__(self, session: Session, messages: Messages) -> None:
        super().__init__(messages)
        self._messages = messages
        self._watcher = QFileSystemWatcher(self)
        self._stamps: dict[str, tuple[float, int]] = {}
        self._quiet = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._quiet.timeout.connect(self._look)
        self._watcher.fileChanged.connect(lambda _: self._quiet.start())
        # A file that is replaced, as most editors do, is watched no more; its folder still tells.
        self._watcher.directoryChanged.connect(lambda _: self._quiet.start())
        session.opened.connect(self._on_opened)

    def _on_opened(self, opened: Opened) -> None:
        watched = [*self._watcher.files(), *self._watcher.directories()]
        if watched:
            self._watcher.removePaths(watched)
        here = [path for path in opened.files if Path(path).is_file()]  # none, where the model is on another host
        self._stamps = {path: _stamp(path) for path in here}
        if here:
            self._watcher.addPaths([*here, *sorted({str(Path(path).parent) for path in here})])

    def _look(self) -> None:
        changed = [path for path, stamp in self._stamps.items() if Path(path).is_file() and _stamp(path) != stamp]
        for path in changed:
            self._stamps[path] = _stamp(path)
        if changed:
            self._messages.offer_reload(Path(changed[0]).name)


def _stamp(path: str) -> tuple[float, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return 0.0, 0
    return status.st_mtime, status.st_size
