"""A real window on a real X display, for tests with real mouse and keyboard events: run as a program of its own.

Prints one JSON object a line: where things are on the screen once the model is open, then every change.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication, QWidget

from modelight.client import Client
from modelight.session import Session
from modelight.settings import Settings
from modelight.setup import Setup
from modelight.widgets.theme import ThemeFollower
from modelight.window import Window


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def centre(widget: QWidget) -> list[int]:
    point = widget.mapToGlobal(widget.rect().center())
    return [point.x(), point.y()]


def main(spec: str, folder: str) -> int:
    application = QApplication([])
    settings = Settings(QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat))
    session = Session(Client())
    window = Window(session, settings, ThemeFollower(application, "light"))
    window.setGeometry(0, 0, 1440, 900)
    window.show()

    def tell_places() -> None:
        tree = window.tree_pane.tree
        lamp = tree.viewport().mapToGlobal(tree.lamp_rect("features").center())
        say(
            event="settled",
            modes=session.modes.name,
            lamp=[lamp.x(), lamp.y()],
            live=centre(window.toolbar.live),
            eval=centre(window.toolbar.mode.button("eval")),
            busy=session.cycle.busy,
        )

    session.cycle.settled.connect(tell_places)
    session.states_changed.connect(
        lambda states: say(event="changed", modes=session.modes.name, train=session.modes.train, rows=len(states))
    )
    session.cycle.frame.connect(lambda frame: say(event="frame", live=session.cycle.live, train=frame.train))
    session.open(Setup(spec))
    status = application.exec()
    session.close()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
