"""Consent: what a person is asked before a checkpoint is unpickled in full, which runs its author's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelight.problems import problem_of
from modelight.protocol import Failure, Trust


@dataclass(frozen=True)
class Consent:
    """What a person is asked before a full unpickle."""

    sentence: str
    globals: list[str]
    """What the pickle refers to, read from its opcodes without running it."""
    sha256: str
    """Of the file; consent is remembered for it alone."""
    agree: Callable[[], None]
    """Go on, with a full unpickle in the model process."""


def consent_for(failure: Failure, trust: Trust, again: Callable[[Trust], None]) -> Consent | None:
    """What to ask, where the failure says that only consent helps.

    Args:
        trust: what was agreed to before.
        again: go on, with what is then agreed to: these bytes too, not whatever lies there by then.
    """
    if failure.kind != "consent" or failure.clause is None:
        return None
    names = failure.clause.values.get("globals")
    listed = [str(name) for name in names] if isinstance(names, list) else []
    sha256 = str(failure.clause.values.get("sha256", ""))
    agreed = trust if isinstance(trust, list) else []
    return Consent(problem_of(failure).sentence, listed, sha256, lambda: again([*agreed, sha256]))
