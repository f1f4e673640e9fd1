"""What is being imported just now: a library may take half a minute, and a strip that says only the file's name looks
dead."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modelight.engine.errors import ReportProgress
from modelight.protocol import Clause

INTERVAL = 0.4
"""Seconds between two looks."""


@contextmanager
def told(progress: ReportProgress) -> Iterator[ReportProgress]:
    """Yield a ``progress`` to be used in place of the given one: while an import lasts, it also names the package whose
    modules come in.

    A thread looks for the newest entry of ``sys.modules``: an import hook would be seen, and met, by the person's code.
    """
    watch = _Watch(progress)
    thread = threading.Thread(target=watch.look, name="modelight-imports", daemon=True)
    thread.start()
    try:
        yield watch.hear
    finally:
        watch.over.set()
        thread.join()


class _Watch:
    """No lock: a fork of the person's code could leave it held for ever."""

    def __init__(self, progress: ReportProgress) -> None:
        self._progress = progress
        self._importing: Clause | None = None
        self._package = ""
        self.over = threading.Event()

    def hear(self, what: Clause, fraction: float | None) -> None:
        """What the work itself has to say."""
        self._package = _newest()
        self._importing = what if what.id == "importing" else None
        self._progress(what, fraction)

    def look(self) -> None:
        """On a thread of its own, until :attr:`over`."""
        while not self.over.wait(INTERVAL):
            package, importing = _newest(), self._importing
            if importing is None or package == self._package:
                continue
            self._package, what = package, str(importing.values["what"])
            # The person's own module is the newest before it has imported anything.
            if package not in what:
                self._progress(Clause("importing", {"what": f"{what}: {package}"}), None)


def _newest() -> str:
    """The package that the module which was registered last belongs to."""
    try:
        return next(reversed(sys.modules)).partition(".")[0]
    except (StopIteration, RuntimeError):  # changed at this very moment
        return ""
