"""What survives a restart of the program: recent models, layout, theme. The one owner of QSettings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QByteArray, QSettings

RECENT = 12
Appearance = Literal["system", "light", "dark"]


@dataclass(frozen=True)
class Recent:
    """A model that was opened before."""

    spec: str
    checkpoint: str | None
    directory: str


class Settings:
    """Typed access to the settings file."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store if store is not None else QSettings("Modelight", "Modelight")

    @property
    def recent(self) -> list[Recent]:
        """Newest first. A settings file of another version that cannot be read counts as empty."""
        try:
            entries = json.loads(str(self._store.value("recent", "[]")))
            return [Recent(str(spec), checkpoint, str(directory)) for spec, checkpoint, directory in entries]
        except (ValueError, TypeError):
            return []

    def add_recent(self, entry: Recent) -> None:
        """Put a model at the top of the list."""
        entries = [entry, *(other for other in self.recent if other != entry)][:RECENT]
        self._store.setValue("recent", json.dumps([[item.spec, item.checkpoint, item.directory] for item in entries]))

    @property
    def appearance(self) -> Appearance:
        value = str(self._store.value("appearance", "system"))
        return value if value in ("light", "dark") else "system"  # type: ignore[return-value]

    @appearance.setter
    def appearance(self, value: Appearance) -> None:
        self._store.setValue("appearance", value)

    def trusts(self, sha256: str) -> bool:
        """Whether a person agreed to unpickle the file with this digest."""
        return sha256 in str(self._store.value("trusted", "")).split()

    def trust(self, sha256: str) -> None:
        """Remember the consent for this very file."""
        if sha256 and not self.trusts(sha256):
            self._store.setValue("trusted", f"{self._store.value('trusted', '')} {sha256}".strip())

    def layout(self, name: str) -> QByteArray | None:
        """Saved geometry or splitter state."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else None

    def set_layout(self, name: str, state: QByteArray) -> None:
        self._store.setValue(f"layout/{name}", state)
