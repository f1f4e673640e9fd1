"""Phrases: notes. See ``modelight.phrases`` for the format."""

from __future__ import annotations

PHRASES: dict[str, str] = {}
