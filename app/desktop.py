"""The desktop program: the application object, the window, and what stands between a display and none."""

from __future__ import annotations

import os
import platform
import signal
import sys

from modelight.setup import Setup

NO_DISPLAY = "There is no display here. Use “modelight shot” to render the window to a PNG, or set DISPLAY."


def has_display() -> bool:
    """Whether a window can be shown to somebody."""
    if os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal"):
        return False
    needs_server = platform.system() not in ("Windows", "Darwin")
    return not needs_server or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_window(setup: Setup | None, command: list[str] | None = None, hint: str = "") -> int:
    """Open the window on a model, or on the welcome page; returns the exit status once it is closed.

    ``command`` starts the model process, where that is not this interpreter's own; ``hint`` is said once the model is
    open.
    """
    if not has_display():
        print(NO_DISPLAY, file=sys.stderr)  # noqa: T201
        return 2
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QApplication

    from modelight.client import Client
    from modelight.session import Session
    from modelight.settings import Settings
    from modelight.widgets.theme import ThemeFollower
    from modelight.window import Window

    # Ctrl+C in the terminal ends the window at once; the end of the pipe then ends the model process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QApplication([sys.argv[0]])
    application.setApplicationName("Modelight")
    application.setDesktopFileName("modelight")
    settings = Settings()
    follower = ThemeFollower(application, settings.appearance)
    session = Session(Client(command=command), trusted=settings.trusts)
    window = Window(session, settings, follower)
    window.show()
    if setup is not None:
        if hint:
            session.opened.connect(lambda _: window.messages.notice(hint), Qt.ConnectionType.SingleShotConnection)
        session.open(setup)
    else:
        session.start_process()
    status = application.exec()
    session.close()
    return status
