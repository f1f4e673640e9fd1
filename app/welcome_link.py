"""The welcome page's lists: the samples, and what was opened before."""

from __future__ import annotations

from PySide6.QtCore import QObject

from modelight.actions import recent_title, sample
from modelight.sample_models import SAMPLES
from modelight.settings import Recent, Settings
from modelight.widgets.welcome import WelcomePage, WelcomeRow


class WelcomeLink(QObject):
    """Fills the page."""

    def __init__(self, settings: Settings, page: WelcomePage) -> None:
        super().__init__(page)
        page.set_samples([WelcomeRow(name, title, lesson) for name, title, lesson in SAMPLES])
        page.set_recent(
            [
                WelcomeRow(str(index), recent_title(entry), entry.directory)
                for index, entry in enumerate(settings.recent)
            ]
        )

    @staticmethod
    def sample(name: str) -> Recent:
        """A sample as something to open."""
        return sample(name)
