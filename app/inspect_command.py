"""``modelight inspect``: what a checkpoint holds, without the code of its model.

A process of its own without a window, so that it may read through the engine and torch. Exit status: 0 readable, 1
readable with marks that need attention, 2 not readable. It never asks anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO

from modelight.phrases import phrase
from modelight.present import checkpoint_json, checkpoint_text
from modelight.protocol import CheckpointFacts, Clause, plain
from modelight.widgets import numbers

_PLAIN = str.maketrans({numbers.THIN: " ", numbers.NO_BREAK: " ", numbers.MINUS: "-", "×": "x", "→": ">", "·": "-"})
READABLE, ATTENTION, UNREADABLE = 0, 1, 2


def inspect_command(
    path: str, other: str | None, json: bool, key: str | None, deep: bool, *, trust: bool = False
) -> int:
    """Print what is in the checkpoint at ``path`` and, with ``other``, how the two differ.

    Args:
        json: print JSON instead of text.
        key: which state dict to take where a file holds several; in ``other`` where it holds that one too.
        deep: read every value instead of those of running statistics alone.
        trust: allow a full unpickle, which runs the code of the file's author.

    Returns:
        The exit status. A file that cannot be read is said in one sentence on stderr.
    """
    from modelight.engine.errors import EngineError

    if not path:
        return _unreadable("The checkpoint has no name: give a file or a folder.")
    try:
        text, facts = _report(path, other, json, key or "", deep, trust)
    except EngineError as error:
        return _unreadable(phrase(error.clause) if error.clause is not None else str(error))
    except Exception as error:
        # A broken file may break torch in ways of its own; whoever runs this in a script wants a sentence all the same.
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return _unreadable(f"{path} could not be inspected: {type(error).__name__}: {first}")
    try:
        _write(sys.stdout, text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough: the status says what it says all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _unreadable(f"What is in {path} could not be written: {error.strerror or error}.")
    return ATTENTION if any(checkpoint_text.marks_of(one) for one in facts) else READABLE


def _report(
    path: str, other: str | None, json: bool, key: str, deep: bool, trust: bool
) -> tuple[str, list[CheckpointFacts]]:
    from modelight.engine import inspect as engine

    first = engine.open_checkpoint(path, key=key, trust=trust)
    show, done = _progress()
    facts = [engine.facts_of(first, deep, show)]
    if other is None:
        done()
        shown = checkpoint_json.facts_json(facts[0]) if json else _lines(checkpoint_text.facts_lines(facts[0]))
        return shown, facts
    second = engine.take_if_there(engine.open_checkpoint(other, trust=trust), key)
    facts.append(engine.facts_of(second, deep, show))
    difference = engine.diff(first, second, progress=show)
    done()
    if json:
        return checkpoint_json.pair_json(facts[0], facts[1], difference), facts
    heads = [line for one in facts for line in (*checkpoint_text.head_lines(one), "")]
    return _lines([*heads[:-1], *checkpoint_text.difference_lines(difference)]), facts


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def _progress() -> tuple[Callable[[Clause, float | None], None], Callable[[], None]]:
    """A line on stderr that is written over and over, where a person watches it; and what wipes it."""
    if not sys.stderr.isatty():
        return lambda what, share: None, lambda: None

    def show(what: Clause, share: float | None) -> None:
        percent = "" if share is None else f" {share:.0%}"
        _write(sys.stderr, f"\r\x1b[K{checkpoint_text.visible(phrase(what))[:100]}{percent}")
        sys.stderr.flush()

    return show, lambda: _write(sys.stderr, "\r\x1b[K")


def _unreadable(sentence: str) -> int:
    line = " ".join(sentence.split())
    _write(sys.stderr, f"{checkpoint_text.visible(line)}\n")
    return UNREADABLE


def _write(stream: TextIO, text: str) -> None:
    """Write; where the stream's encoding lacks a sign (the C locale knows ASCII alone), a plain one or its escape."""
    encoding, text = stream.encoding or "utf-8", plain(text)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
