"""``make screenshots``: the pictures of the README and of ``docs``, rendered by the program itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtWidgets import QApplication

from modelight.shot import Offscreen, demo_setup, hush
from modelight.widgets import theme

PICTURES = Path(__file__).parent / "pictures"


def main() -> int:
    """Render every picture; returns 0 when all could be."""
    PICTURES.mkdir(exist_ok=True)
    application = QApplication([sys.argv[0]])
    hush()
    with Offscreen((1440, 900), "light") as stage:
        ok = stage.open(demo_setup())
        ok = ok and stage.save(PICTURES / "incident.png")
        for page in ("dropout", "statistics", "layers", "compare"):
            ok = ok and stage.show_page(page) and stage.save(PICTURES / f"{page}.png")
        ok = ok and stage.show_page("output") and stage.preset("eval") and stage.save(PICTURES / "cure.png")
        theme.apply(application, theme.DARK)
        stage.window.pages.retheme()
        ok = ok and stage.save(PICTURES / "cure-dark.png")
    for problem in stage.problems:
        print(problem, file=sys.stderr)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
