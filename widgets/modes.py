"""The mode that something was set or measured in. No Qt, so anyone may use it."""

from __future__ import annotations

from typing import Literal

Mode = Literal["train", "eval", "mixed"]
