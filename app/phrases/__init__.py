"""The words of the program: every sentence a person reads that begins as a :class:`~modelight.protocol.Clause`.

Plain Python, so that ``modelight check`` and the notebook say the same as the window without Qt. The window installs
Qt's translator with :func:`translate_with`; ``pyside6-lupdate`` looks for
:func:`QT_TRANSLATE_NOOP` by its name.

A template is a ``str.format`` text whose fields are the clause's values. Format specs beyond Python's own: ``count``
(14 274), ``percent`` (0.496 → 49.6 %), ``figure`` (a measured value, as many digits as decide), ``size`` (bytes:
262 KiB), ``place`` (the last part of a path: ``net.py:24``), ``value|values`` (the first for 1, else the second).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from modelight.protocol import Clause
from modelight.widgets import numbers

CONTEXT = "phrases"
_MISSING = "–"
_PATHS = {"module", "modules", "first", "path", "paths", "furthest"}
"""Values that hold paths of modules, of which the root's is empty."""

_translate: Callable[[str], str] = lambda text: text  # noqa: E731 - replaced by the window


def QT_TRANSLATE_NOOP(context: str, text: str) -> str:
    """Mark a text for translation; returns it unchanged."""
    return text


def translate_with(function: Callable[[str], str]) -> None:
    """Have every template translated by ``function`` before its figures are put in."""
    global _translate
    _translate = function


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or value == _MISSING:
            return _MISSING
        if format_spec in ("count", "percent", "figure", "size"):
            return str(getattr(numbers, format_spec)(value))
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        if format_spec == "place":
            return re.split(r"[/\\]", str(value))[-1]
        if isinstance(value, list):
            return ", ".join(str(item) for item in value)
        return str(super().format_field(value, format_spec))

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        # A sentence with a gap tells more than no sentence: a figure that is not there shows as a dash.
        value = kwargs.get(str(key), _MISSING)
        if key not in _PATHS:
            return value
        root = _translate(_ROOT)
        return [one or root for one in value] if isinstance(value, list) else root if value == "" else value


_ROOT = QT_TRANSLATE_NOOP("phrases", "the model itself")

_formatter = _Formatter()


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The translated template with its figures put in."""
    return _formatter.vformat(_translate(template), (), values)


def phrase(clause: Clause) -> str:
    """What to say for a clause. An id without a phrase is shown as it is, so that nothing is swallowed."""
    from modelight.phrases import checkpoints, effects, findings, notes

    for table in (effects.PHRASES, notes.PHRASES, findings.PHRASES, checkpoints.PHRASES):
        if clause.id in table:
            return fill(table[clause.id], clause.values)
    figures = ", ".join(f"{name} {value}" for name, value in clause.values.items())
    return f"{clause.id} ({figures})" if figures else clause.id


def short_phrase(clause: Clause) -> str:
    """The same in a few words where there are such: what fits the effect column of the tree."""
    from modelight.phrases import effects

    return fill(effects.SHORT[clause.id], clause.values) if clause.id in effects.SHORT else phrase(clause)
